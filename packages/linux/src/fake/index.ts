export { createFakeIo, type FakeIo, type FakeIoOptions } from "./fake-io.ts";
export type { FakeTapInterface } from "./fake-taps.ts";
export type { FakeDevice } from "./fake-device.ts";

export { createFakeIo, type FakeIo, type FakeIoOptions } from "./fake-io.ts";

import { compose, type ComposeOptions } from "../compose/compose.ts";
import type { ComposedDevice } from "../compose/composed-device.ts";
import { FakeBase } from "./fake-base.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeLogger } from "./fake-logger.ts";
import { FakeSubDriver, type FakeSubDriverParts } from "./fake-sub-driver.ts";

export interface Composed {
  readonly base: FakeBase;
  readonly sub: FakeSubDriver;
  readonly clock: FakeClock;
  readonly logger: FakeLogger;
  readonly device: ComposedDevice;
}

/** A fake sub-driver on a fake base, with a clock that stands still. */
export async function composed(
  parts: FakeSubDriverParts = {},
  options: ComposeOptions = {},
  base: FakeBase = new FakeBase(),
): Promise<Composed> {
  const sub = new FakeSubDriver(parts);
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const device = await compose(base, sub.definition, { clock, logger, ...options });
  return { base, sub, clock, logger, device };
}

/** The migration facet of a device that has one. */
export function migrationOf({ device }: Composed): NonNullable<ComposedDevice["migration"]> {
  if (device.migration === undefined) throw new Error("the device has no migration");
  return device.migration;
}

/** Reads a saving session until nothing is there. */
export async function readAll(composed: Composed, chunk = 4096): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(chunk);
    const count = await migrationOf(composed).readData(into);
    if (count === 0) return Buffer.concat(parts);
    parts.push(into.subarray(0, count));
  }
}

/** The code of the error that a promise ends with, or `none`. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

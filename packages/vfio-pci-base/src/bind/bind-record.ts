import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** What a device was before it was bound, so that it can be put back. */
export interface BindRecord {
  readonly address: string;
  /** Null where no driver had it. */
  readonly driver: string | null;
  /** Null where there was no override. */
  readonly driverOverride: string | null;
}

const schema = z.strictObject({
  address: z.string(),
  driver: z.string().nullable(),
  driverOverride: z.string().nullable(),
});

function pathOf(folder: string, address: string): string {
  return join(folder, `${address}.json`);
}

/** The record of an earlier binding; undefined where there is none, or what is there is none. */
export function readRecord(folder: string, address: string): BindRecord | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(pathOf(folder, address), "utf8")));
    return parsed.success && parsed.data.address === address ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export function writeRecord(folder: string, record: BindRecord): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFileSync(pathOf(folder, record.address), `${JSON.stringify(record)}\n`, { mode: 0o644 });
}

export function removeRecord(folder: string, address: string): void {
  rmSync(pathOf(folder, address), { force: true });
}

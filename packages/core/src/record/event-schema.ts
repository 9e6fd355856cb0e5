import { z } from "zod";
import { MIGRATION_STATE, type MigrationState } from "../migration/states.ts";
import type { RecordedAnswer, RecordedCall } from "./events.ts";

const bytes = z.instanceof(Uint8Array);
const u32 = z.int().min(0).max(0xffff_ffff);
const address = z.int().min(0);
const text = z.string().max(65_536);

const STATES = new Set<string>(Object.keys(MIGRATION_STATE));
const state = z.custom<MigrationState>((value) => typeof value === "string" && STATES.has(value));

const range = { iova: address, size: address };

/** A call of a recording, which may come from anywhere. */
export const callSchema: z.ZodType<RecordedCall> = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("irqs"),
    index: u32,
    start: u32,
    count: u32,
    action: z.enum(["mask", "unmask", "trigger"]),
    kind: z.enum(["none", "bool", "event"]),
    values: bytes.optional(),
  }),
  z.strictObject({
    name: z.literal("map"),
    ...range,
    read: z.boolean(),
    write: z.boolean(),
    memory: z.enum(["shared", "remote", "none"]),
  }),
  z.strictObject({ name: z.literal("unmap"), ...range }),
  z.strictObject({ name: z.literal("reset") }),
  z.strictObject({ name: z.literal("state"), target: state }),
  z.strictObject({ name: z.literal("save"), length: u32 }),
  z.strictObject({ name: z.literal("load"), data: bytes }),
  z.strictObject({ name: z.enum(["size", "precopy", "log-stop"]) }),
  z.strictObject({
    name: z.literal("log-start"),
    pageSize: address,
    ranges: z.array(z.strictObject(range)).max(65_536),
  }),
  z.strictObject({ name: z.literal("log-report"), ...range, pageSize: address }),
]);

const error = z.strictObject({ code: text, layer: text, errno: text, message: text });

/** What came of a call. */
export const answerSchema: z.ZodType<RecordedAnswer> = z.strictObject({
  error: error.optional(),
  data: bytes.optional(),
  value: z.number().optional(),
  state: state.optional(),
  skipped: z.boolean().optional(),
});

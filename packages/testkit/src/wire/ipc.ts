import { z } from "zod";
import type { StopWindow } from "../traffic/accounting.ts";
import { type TrafficChoice, trafficChoiceSchema } from "../traffic/open-traffic.ts";
import type { LanOptions } from "./lan-link.ts";
import type { AcceptedEvent, MovedEvent, WireProgress, WireReport } from "./wire.ts";

/** Where a wire finds a port: at a device's socket, or in a network that leads to every device. */
export type WirePlace =
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly lan: LanOptions };

/** What a parent tells a wire process. Every command is answered by `done` or `failed` of its id. */
export type WireCommand =
  | {
      readonly type: "open";
      readonly id: number;
      readonly ports: readonly WirePlace[];
      /** Port that is connected first; default the first one. */
      readonly connected?: string | undefined;
      /** What is played. */
      readonly traffic: TrafficChoice;
      readonly guestMac: string;
    }
  | { readonly type: "start"; readonly id: number; readonly rate: number }
  | { readonly type: "stop"; readonly id: number }
  | {
      readonly type: "windows";
      readonly id: number;
      readonly windows: readonly StopWindow[];
    }
  | { readonly type: "report"; readonly id: number };

const portSchema: z.ZodType<WirePlace> = z.union([
  z.strictObject({ name: z.string(), path: z.string() }),
  z.strictObject({
    name: z.string(),
    lan: z.strictObject({ tap: z.string(), transitMs: z.number().min(0) }),
  }),
]);
const windowSchema = z.strictObject({
  kind: z.enum(["blackout", "switch"]),
  fromMs: z.number(),
  toMs: z.number(),
});

/** Checks a {@link WireCommand}. */
export const wireCommandSchema: z.ZodType<WireCommand> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("open"),
    id: z.int(),
    ports: z.array(portSchema).min(1),
    connected: z.string().optional(),
    traffic: trafficChoiceSchema,
    guestMac: z.string(),
  }),
  z.strictObject({ type: z.literal("start"), id: z.int(), rate: z.number() }),
  z.strictObject({ type: z.literal("stop"), id: z.int() }),
  z.strictObject({ type: z.literal("windows"), id: z.int(), windows: z.array(windowSchema) }),
  z.strictObject({ type: z.literal("report"), id: z.int() }),
]);

/** An error on its way between processes; as `VfmigError.toJSON` gives it. */
export interface WireProcessError {
  readonly code: string;
  readonly message: string;
}

/** What a wire process tells its parent. Times are `CLOCK_MONOTONIC` in milliseconds. */
export type WireMessage =
  | { readonly type: "done"; readonly id: number; readonly report?: WireReport | undefined }
  | { readonly type: "failed"; readonly id: number; readonly error: WireProcessError }
  | { readonly type: "progress"; readonly progress: WireProgress }
  | { readonly type: "moved"; readonly event: MovedEvent }
  | { readonly type: "accepted"; readonly event: AcceptedEvent }
  | {
      readonly type: "closed";
      readonly port: string;
      readonly error?: WireProcessError | undefined;
    };

import { z } from "zod";
import type { StopWindow } from "../traffic/accounting.ts";
import { type TrafficChoice, trafficChoiceSchema } from "../traffic/open-traffic.ts";
import type { LanOptions } from "./lan-link.ts";
import type { AcceptedEvent, MovedEvent, WireProgress, WireReport } from "./wire.ts";

/** Where a wire finds a port: at a device's socket, or in a network that leads to every device. */
export type WirePlace =
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly lan: LanOptions };

/** What a parent asks of a wire process. */
export type WireCommand =
  | {
      readonly do: "open";
      readonly ports: readonly WirePlace[];
      /** Port that is connected first; default the first one. */
      readonly connected?: string | undefined;
      /** What is played. */
      readonly traffic: TrafficChoice;
      readonly guestMac: string;
      /** Whether frames wait while a device asks for it. */
      readonly flowControl?: boolean | undefined;
    }
  | { readonly do: "start"; readonly rate: number }
  | { readonly do: "stop" }
  | { readonly do: "windows"; readonly windows: readonly StopWindow[] }
  | { readonly do: "report" };

export interface WireAnswers {
  readonly open: null;
  readonly start: null;
  readonly stop: null;
  readonly windows: null;
  readonly report: WireReport;
}

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
export const wireCommandSchema: z.ZodType<WireCommand> = z.discriminatedUnion("do", [
  z.strictObject({
    do: z.literal("open"),
    ports: z.array(portSchema).min(1),
    connected: z.string().optional(),
    traffic: trafficChoiceSchema,
    guestMac: z.string(),
    flowControl: z.boolean().optional(),
  }),
  z.strictObject({ do: z.literal("start"), rate: z.number() }),
  z.strictObject({ do: z.literal("stop") }),
  z.strictObject({ do: z.literal("windows"), windows: z.array(windowSchema) }),
  z.strictObject({ do: z.literal("report") }),
]);

/** What a wire process tells its parent unasked. Times are `CLOCK_MONOTONIC` in milliseconds. */
export type WireEvent =
  | { readonly type: "progress"; readonly progress: WireProgress }
  | { readonly type: "moved"; readonly event: MovedEvent }
  | { readonly type: "accepted"; readonly event: AcceptedEvent }
  | { readonly type: "closed"; readonly port: string; readonly reason?: string | undefined };

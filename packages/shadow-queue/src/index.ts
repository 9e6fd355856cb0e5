export { PROGRESS, type RingCodec, SLOT } from "./codec.ts";
export { DirtyLog, type LoggedQueues } from "./dirty-log.ts";
export type {
  GuestRing,
  PrivateRing,
  RelayCounters,
  RelayFault,
  RelayOptions,
  RingPosition,
} from "./options.ts";
export { RingRelay } from "./relay.ts";
export {
  type EndSwitch,
  type SwitchKind,
  SwitchLog,
  type SwitchOutcome,
  type SwitchTotal,
  type SwitchWindow,
} from "./switch-log.ts";
export { SwitchTurns } from "./switch-turns.ts";

export { PROGRESS, type RingCodec, SLOT } from "./codec.ts";
export type {
  GuestRing,
  PrivateRing,
  RelayCounters,
  RelayFault,
  RelayOptions,
  RingPosition,
} from "./options.ts";
export { RingRelay } from "./relay.ts";

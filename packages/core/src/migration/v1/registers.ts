import type { MigrationState } from "../states.ts";

/** `struct vfio_device_migration_info` (`linux/vfio.h` of 4.20 to 5.17): offsets in the region, in bytes. */
export const V1_REGISTER = {
  DEVICE_STATE: 0,
  RESERVED: 4,
  PENDING_BYTES: 8,
  DATA_OFFSET: 16,
  DATA_SIZE: 24,
  BYTES: 32,
} as const;

/** Where the data area begins: page aligned, as a user that maps it would need. */
export const V1_DATA_OFFSET = 4096;

/** Bits of `device_state`; the others are reserved, and are 0 here. */
export const V1_STATE = { RUNNING: 1, SAVING: 2, RESUMING: 4, MASK: 7 } as const;

/** `SAVING | RESUMING`: only a reset leads out of it. */
const ERROR = 6;

const BITS: Readonly<Record<MigrationState, number>> = {
  stop: 0,
  running: V1_STATE.RUNNING,
  // Protocol v1 cannot say that peers are to be left alone: the device runs.
  "running-p2p": V1_STATE.RUNNING,
  "stop-copy": V1_STATE.SAVING,
  "pre-copy": V1_STATE.RUNNING | V1_STATE.SAVING,
  "pre-copy-p2p": V1_STATE.RUNNING | V1_STATE.SAVING,
  resuming: V1_STATE.RESUMING,
  error: ERROR,
};

/** By value; 5 and 7 have no meaning, and 6 cannot be asked for. */
const STATES: readonly (MigrationState | undefined)[] = [
  "stop",
  "running",
  "stop-copy",
  "pre-copy",
  "resuming",
];

/** What `device_state` shows in a state of protocol v2. */
export function deviceStateOf(state: MigrationState): number {
  return BITS[state];
}

/** The state that a value of `device_state` asks for; undefined where none may. */
export function stateAskedBy(deviceState: number): MigrationState | undefined {
  return STATES[deviceState];
}

const WIDTHS: ReadonlyMap<number, number> = new Map([
  [V1_REGISTER.DEVICE_STATE, 4],
  [V1_REGISTER.RESERVED, 4],
  [V1_REGISTER.PENDING_BYTES, 8],
  [V1_REGISTER.DATA_OFFSET, 8],
  [V1_REGISTER.DATA_SIZE, 8],
]);

/** Width of the register at `offset` in bytes; undefined where none begins. */
export function registerWidth(offset: number): number | undefined {
  return WIDTHS.get(offset);
}

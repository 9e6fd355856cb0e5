/** Values of `enum vfio_device_mig_state` (`linux/vfio.h`). */
export const MIGRATION_STATE = {
  error: 0,
  stop: 1,
  running: 2,
  "stop-copy": 3,
  resuming: 4,
  "running-p2p": 5,
  "pre-copy": 6,
  "pre-copy-p2p": 7,
} as const;

export type MigrationState = keyof typeof MIGRATION_STATE;

/** The optional halves of the protocol; STOP_COPY is there wherever migration is. */
export interface MigrationCapabilities {
  readonly p2p: boolean;
  readonly preCopy: boolean;
}

/** One step that a sub-driver implements; a request walks one or more of them. */
export type Arc =
  | "running->stop"
  | "stop->running"
  | "running->running-p2p"
  | "running-p2p->running"
  | "running-p2p->stop"
  | "stop->running-p2p"
  | "stop->stop-copy"
  | "stop-copy->stop"
  | "stop->resuming"
  | "resuming->stop"
  | "running->pre-copy"
  | "pre-copy->running"
  | "pre-copy->stop-copy"
  | "pre-copy->pre-copy-p2p"
  | "pre-copy-p2p->pre-copy"
  | "running-p2p->pre-copy-p2p"
  | "pre-copy-p2p->running-p2p"
  | "pre-copy-p2p->stop-copy";

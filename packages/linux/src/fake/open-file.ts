import type { FileStatus } from "../native-io.ts";

/** What descriptors of the fake refer to; duplicates and messages in flight share one. */
export interface OpenFile {
  readonly kind: FileStatus["kind"];
  readonly size: bigint;
  readonly shrinkSealed: boolean;
  readable(): boolean;
  writable(): boolean;
  /** The last reference has gone. */
  closed(): void;
  /** Set by the watches: to be called whenever the file may have become readable. */
  readonly changed: Set<() => void>;
}

export function announce(file: OpenFile): void {
  for (const run of file.changed) run();
}

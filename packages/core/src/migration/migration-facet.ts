import type { MigrationCapabilities, MigrationState } from "./states.ts";

/** `struct vfio_precopy_info`: estimates in bytes, valid in PRE_COPY and PRE_COPY_P2P only. */
export interface PrecopyInfo {
  readonly initialBytes: number;
  readonly dirtyBytes: number;
  readonly reinit: boolean;
}

/** Migration protocol v2, as any layer sees it. The session is implied by the state. */
export interface MigrationFacet {
  readonly capabilities: MigrationCapabilities;
  readonly state: MigrationState;

  /**
   * Walks the arcs to `target`; settles when the last one has done its duty. On failure the state
   * reached is in {@link MigrationFacet.state}.
   * @throws VfmigError `ERR_VFMIG_MIGRATION_*`
   */
  setState(target: MigrationState): Promise<void>;

  /**
   * Reads the next bytes of the saving session. 0 means the end in STOP_COPY, and nothing for now in
   * PRE_COPY.
   */
  readData(into: Uint8Array): Promise<number>;

  /**
   * Appends bytes, in any split, to the restoring session. A rejected write poisons the session. `from` is
   * the caller's again when this settles: copy what is needed later.
   */
  writeData(from: Uint8Array): Promise<void>;

  /** Estimate, in bytes, of what would still have to be carried if the device stopped now. */
  dataSize(): Promise<number>;

  precopyInfo(): Promise<PrecopyInfo>;
}

/** One entry of a chain that follows an info structure (`struct vfio_info_cap_header`). */
export interface Capability {
  readonly id: number;
  readonly version: number;
  /** Where it starts, header included, in bytes from the start of the structure. */
  readonly at: number;
}

const HEADER = { ID: 0, VERSION: 2, NEXT: 4, BYTES: 8 } as const;

/** More than any kernel chains; a chain that goes on is a loop. */
const HOPS = 64;

/**
 * Walks the chain that starts at `first`. Ends, as if the chain did, where it leaves the memory, points
 * back or has too many entries: what a broken driver chained behind that is not used.
 */
export function capabilities(
  view: DataView,
  first: number,
  minimum: number,
): readonly Capability[] {
  const found: Capability[] = [];
  const seen = new Set<number>();
  let at = first;
  while (at >= minimum && at + HEADER.BYTES <= view.byteLength && found.length < HOPS) {
    if (seen.has(at)) break;
    seen.add(at);
    found.push({
      id: view.getUint16(at + HEADER.ID, true),
      version: view.getUint16(at + HEADER.VERSION, true),
      at,
    });
    at = view.getUint32(at + HEADER.NEXT, true);
  }
  return found;
}

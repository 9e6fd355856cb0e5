/** One entry of an initramfs; `mode` holds type and permissions, as in `stat`. */
export interface CpioEntry {
  readonly name: string;
  readonly mode: number;
  /** A file's content, or a link's target. */
  readonly data?: Uint8Array | string;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

export const MODE = {
  folder: 0o04_0755,
  program: 0o10_0755,
  file: 0o10_0644,
  link: 0o12_0777,
  characterDevice: 0o02_0600,
} as const;

const HEADER_SIZE = 110;

/** An archive in the "newc" form that Linux unpacks at boot (Documentation/driver-api/early-userspace). */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const all = [...entries, { name: "TRAILER!!!", mode: 0 }];
  for (const [index, { name, mode, data, device }] of all.entries()) {
    const content = data === undefined ? Buffer.alloc(0) : Buffer.from(data as Uint8Array);
    const [major, minor] = device ?? [0, 0];
    const links = 1;
    const nameSize = Buffer.byteLength(name) + 1;
    const numbers = [
      index + 1,
      mode,
      0,
      0,
      links,
      0,
      content.length,
      0,
      0,
      major,
      minor,
      nameSize,
      0,
    ];
    const header = `070701${numbers.map((value) => value.toString(16).padStart(8, "0")).join("")}`;
    parts.push(padded(Buffer.from(`${header}${name}\0`), HEADER_SIZE + nameSize), padded(content));
  }
  return Buffer.concat(parts);
}

/** Filled up with zeros to a multiple of four. */
function padded(bytes: Buffer, length: number = bytes.length): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-length & 3)]);
}

import { ERRNO } from "@vfmig/linux";

/** What a driver answers to refuse: the negative number of an errno. */
export function no(name: string): number {
  const number = ERRNO[name];
  if (number === undefined) throw new Error(`there is no errno ${name}`);
  return -number;
}

/** The request's memory as the kernel takes it; `least` bytes have to be claimed in its first field. */
export function taken(argument: Uint8Array | number, least: number): DataView | undefined {
  if (typeof argument === "number" || argument.length < 4) return undefined;
  const view = new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
  const claimed = view.getUint32(0, true);
  return claimed < least || claimed > argument.length ? undefined : view;
}

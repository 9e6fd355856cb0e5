import { InvalidArgumentError } from "commander";

/**
 * Parses a size of memory, as QEMU takes it: bytes, or with K, M, G or T behind it.
 * @throws InvalidArgumentError which commander reports with the option's name
 */
export function memorySize(text: string): string {
  if (/^0*[1-9]\d*[KMGT]$/i.test(text) || (/^\d+$/.test(text) && Number(text) >= 2 ** 20)) {
    return text;
  }
  throw new InvalidArgumentError("It takes a size such as 512M or 4G, at least a mebibyte.");
}

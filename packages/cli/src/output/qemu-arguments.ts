import type { ServedDevice } from "@vfmig/core";

/**
 * The arguments that attach a served device to QEMU 10.1 or newer. Guest memory has to be a shared file:
 * without an fd for it, the device could reach it by messages only.
 */
export function qemuArguments(device: ServedDevice, memory = "1G"): readonly string[] {
  return [
    "-object",
    `memory-backend-memfd,id=mem,size=${memory},share=on`,
    "-machine",
    "q35,memory-backend=mem",
    "-device",
    JSON.stringify({
      driver: "vfio-user-pci",
      id: device.name,
      socket: { path: device.socketPath, type: "unix" },
    }),
  ];
}

/** The same as one line for a shell. */
export function shellLine(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

/** Lines of a kernel's log that nothing here may cause. */
const COMPLAINTS: readonly RegExp[] = [
  /WARNING:|BUG:|Oops|Call Trace|general protection|RIP:|KASAN|UBSAN|Out of memory/u,
  /INFO: task .* blocked|soft lockup|hard LOCKUP|NETDEV WATCHDOG/u,
  /DMAR:.*(?:fault|error|\binvalid\b|\[DMA|\[INTR)|AER:.*(?:error|fatal)/iu,
  /(?:vfio|iommu|mtty|igb|e1000).*(?:error|fail|\binvalid\b|incorrect|bogus|denied|timed out|required|unable|cannot)/iu,
];

/** Complaints that are known, and why each is none of the cases' fault. */
const EXPECTED: readonly (readonly [line: RegExp, why: string])[] = [
  [/mtty: module verification failed/u, "the module is built here, without the kernel's key"],
  [
    /e1000e 0000:41:00\.0.*Failed to initialize MSI/u,
    "the bed has it where no interrupts are remapped",
  ],
  [/vfio-pci .*VF token required to access device/u, "a case opens a VF without its token"],
  [/vfio-pci .*Incorrect VF token provided/u, "a case opens a VF with a wrong token"],
];

/** Complaints in a kernel's log, a line each, without those that are expected. */
export function complaints(log: string): readonly string[] {
  return log
    .split("\n")
    .filter((line) => COMPLAINTS.some((pattern) => pattern.test(line)))
    .filter((line) => !EXPECTED.some(([pattern]) => pattern.test(line)));
}

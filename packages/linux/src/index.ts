export { EventFd } from "./event-fd.ts";
export { ERRNO, errnoName } from "./errno.ts";
export { createLinuxIo, type LinuxIoOptions } from "./native/linux-io.ts";
export { systemCallError } from "./system-call-error.ts";
export { MEMORY_UNLIMITED } from "./native-io.ts";
export type * from "./native-io.ts";
export { AdaptiveReceiver } from "./adaptive-receiver.ts";
export { receiveSoon, type ReceiveBounds } from "./receive-soon.ts";
export type { OnWatchError } from "./watch-table.ts";

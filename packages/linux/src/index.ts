export { EventFd } from "./event-fd.ts";
export { errnoName } from "./errno.ts";
export { createLinuxIo, type LinuxIoOptions } from "./native/linux-io.ts";
export type * from "./native-io.ts";
export { AdaptiveReceiver } from "./adaptive-receiver.ts";
export { receiveSoon, type ReceiveBounds } from "./receive-soon.ts";
export type { OnWatchError } from "./watch-table.ts";

export * from "./create-wire.ts";
export * from "./memory-port.ts";
export * from "./port.ts";
export * from "./socket-port.ts";
export * from "./start-wire-process.ts";
export * from "./wire.ts";
export type { PortLink, LinkListener } from "./link.ts";

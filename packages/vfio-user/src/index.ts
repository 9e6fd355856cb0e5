export { connectVfioUser, type VfioUserClient } from "./client/client.ts";
export type { VfioUserClientOptions } from "./client/options.ts";
export type { VfioUserServerOptions } from "./server/options.ts";
export { createVfioUserServer, type VfioUserServer } from "./server/server.ts";

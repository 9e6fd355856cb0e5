export { askControl } from "./control/control-client.ts";
export { openControl, type ControlServer } from "./control/control-server.ts";
export type { Replaced } from "./device-process/protocol.ts";
export { openHost, traceFileOf, type Host, type HostOptions } from "./host.ts";
export { runScenario, type ScenarioRun } from "./run-scenario.ts";
export type { DeviceProcess } from "./device-process/device-process.ts";
export { replayFile, type ReplayFileOptions } from "./replaying/replay-file.ts";
export type { ListedDevice } from "./pci/devices.ts";

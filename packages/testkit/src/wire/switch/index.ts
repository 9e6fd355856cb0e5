export {
  createSwitch,
  type EthernetSwitch,
  type SwitchOptions,
  type SwitchOutput,
  type SwitchPort,
  type SwitchPortCounters,
  type SwitchPortReport,
  type SwitchReport,
} from "./learning-switch.ts";
export {
  listenSwitch,
  type ListeningSwitch,
  type ListenSwitchOptions,
  type SwitchEvent,
} from "./listen-switch.ts";
export { joinSwitch, type SwitchPortOptions } from "./switch-port.ts";

import { createManualClock } from "../../clock/manual-clock.ts";
import { createSwitch, type SwitchOptions, type SwitchPort } from "../switch/learning-switch.ts";

/** A switch with `count` ports; `got` has what each was handed, as marks. */
export function rig(count: number, options: SwitchOptions = {}) {
  const clock = createManualClock();
  const ethernet = createSwitch({ clock, ...options });
  const got: number[][] = Array.from({ length: count }, () => []);
  const ports = got.map((marks, index) =>
    ethernet.join(`p${index}`, (frame) => {
      marks.push(frame[14] ?? -1);
      return true;
    }),
  );
  const at = (index: number): SwitchPort => {
    const port = ports[index];
    if (port === undefined) throw new Error(`there is no port ${index}`);
    return port;
  };
  return { clock, ethernet, got, at, ports };
}

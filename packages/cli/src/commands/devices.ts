import type { Command } from "commander";
import type { CommandContext } from "../program.ts";

/** Where the system's trees are. */
export interface RootOptions {
  readonly sysfs?: string;
  readonly dev?: string;
  readonly records?: string;
  readonly json?: boolean;
}

export interface ListOptions extends RootOptions {
  readonly all?: boolean;
}

export interface BindOptions extends RootOptions {
  readonly driver: string;
}

const LIST_EXAMPLES = `
Examples:
  vfmig devices                           network functions: groups, drivers, PF and VFs
  vfmig devices --all                     every PCI function and mediated device
  vfmig devices --json                    one JSON object on stdout, with reset methods and VFIO files

A device can be given to a guest when it is bound to a VFIO driver and nobody of the host uses another
device of its IOMMU group.`;

const BIND_EXAMPLES = `
Examples:
  vfmig bind 0000:3b:02.0                 to vfio-pci; the host loses the device
  vfmig bind 3b:02.0 --driver mlx5_vfio_pci
  vfmig unbind 0000:3b:02.0               back to the driver that it was taken from

Exit code 1: the device is bound, but others of its group still belong to the host.`;

/** `vfmig devices`, `vfmig bind` and `vfmig unbind`. */
export function devicesCommand(program: Command, context: CommandContext): void {
  withRoots(program.command("devices"))
    .description("List what could be given to a guest: IOMMU groups, drivers, PFs and VFs.")
    .option("--all", "every function, not network functions and mediated devices only")
    .addHelpText("after", LIST_EXAMPLES)
    .action(async (options: ListOptions) => {
      const { list } = await import("../actions/devices.ts");
      list(options, context);
    });
  withRoots(program.command("bind"))
    .description("Give a PCI function to vfio-pci, and keep what had it before.")
    .argument("<address>", "PCI address, such as 0000:3b:02.0")
    .option("--driver <name>", "VFIO driver", "vfio-pci")
    .addHelpText("after", BIND_EXAMPLES)
    .action(async (address: string, options: BindOptions) => {
      const { bind } = await import("../actions/devices.ts");
      await bind(address, options, context);
    });
  withRoots(program.command("unbind"))
    .description("Give a PCI function back to the driver that bind took it from.")
    .argument("<address>", "PCI address, such as 0000:3b:02.0")
    .addHelpText("after", BIND_EXAMPLES)
    .action(async (address: string, options: RootOptions) => {
      const { unbind } = await import("../actions/devices.ts");
      await unbind(address, options, context);
    });
}

function withRoots(command: Command): Command {
  return command
    .option("--sysfs <path>", "where sysfs is mounted", "/sys")
    .option("--dev <path>", "where device files are", "/dev")
    .option("--records <path>", "where it is kept what had a device before", "/run/vfmig/bind")
    .option("--json", "print one JSON object on stdout");
}

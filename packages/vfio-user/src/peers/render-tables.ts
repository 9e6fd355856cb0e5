import { COMMAND_SUPPORT } from "./commands-table.ts";
import { PEER_FAULTS } from "./peer-faults.ts";

/** The table of commands as the README has it. */
export function commandsMarkdown(): string {
  return table(
    ["", "Command", "Server", "Client"],
    COMMAND_SUPPORT.map(({ number, name, server, client }) => [
      String(number),
      name,
      server,
      client,
    ]),
  );
}

/** The table of peers' faults as the README has it. */
export function faultsMarkdown(): string {
  return table(
    ["Peer", "Does", "Recognised", "You", "Here"],
    PEER_FAULTS.map(({ peer, versions, role, does, recognised, user, here }) => [
      `${peer} ${versions} (${role})`,
      does,
      recognised,
      user === "" ? "-" : user,
      here,
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

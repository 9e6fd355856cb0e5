import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Where Debian packages come from on this machine: what its own apt uses. */
export interface DebianMirror {
  readonly uri: string;
  /** Keyring file that signs the archive. */
  readonly keyring: string;
}

const APT = "/etc/apt";
const KEYRINGS: readonly string[] = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
  "/etc/apt/keyrings/debian-archive-keyring.gpg",
];

/** Thrown where this machine cannot fetch; the whole-system tests are then skipped with these words. */
export class CannotFetch extends Error {
  override readonly name = "CannotFetch";
}

/**
 * The Debian mirror of this machine's apt. `VFMIG_E2E_MIRROR` and `VFMIG_E2E_KEYRING` name another.
 * @throws CannotFetch if it has none, or no keyring of the Debian archive
 */
export async function findMirror(): Promise<DebianMirror> {
  const uri = process.env["VFMIG_E2E_MIRROR"] ?? (await configuredMirrors())[0];
  if (uri === undefined) {
    throw new CannotFetch(
      `no Debian archive among the sources in ${APT}; set VFMIG_E2E_MIRROR to one, such as the one of your provider`,
    );
  }
  const wanted = process.env["VFMIG_E2E_KEYRING"];
  const keyring = wanted ?? KEYRINGS.find((path) => existsSync(path));
  if (keyring === undefined || !existsSync(keyring)) {
    throw new CannotFetch(
      `no keyring of the Debian archive (${wanted ?? KEYRINGS.join(", ")}); install the package debian-archive-keyring`,
    );
  }
  return { uri: uri.replace(/\/+$/u, ""), keyring };
}

async function configuredMirrors(): Promise<string[]> {
  const parts = join(APT, "sources.list.d");
  const names = existsSync(parts) ? (await readdir(parts)).toSorted() : [];
  const files = [join(APT, "sources.list"), ...names.map((name) => join(parts, name))];
  const found: string[] = [];
  for (const file of files.filter((path) => existsSync(path))) {
    const text = await readFile(file, "utf8");
    if (file.endsWith(".sources")) found.push(...paragraphUris(text));
    else if (file.endsWith(".list")) found.push(...lineUris(text));
  }
  // Security and vendors' archives end otherwise.
  return found.filter((uri) => /^(https?|file|mirror\+\w+):.*\/debian\/?$/u.test(uri));
}

/** One-line style: `deb [options] uri suite components`. */
function lineUris(text: string): string[] {
  return [...text.matchAll(/^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)/gmu)].map((match) => match[1] ?? "");
}

/** Paragraph style (deb822). */
function paragraphUris(text: string): string[] {
  return [...text.matchAll(/^URIs:\s*(.+)$/gmu)].flatMap((match) => (match[1] ?? "").split(/\s+/u));
}

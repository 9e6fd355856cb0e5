import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command, CommandError } from "../run/command.ts";
import { CannotFetch, type DebianMirror } from "./host-sources.ts";

/**
 * Debian packages of chosen suites by apt itself, which checks signatures and hashes. Its state is in
 * a folder of ours: the machine's own apt is neither read (but for proxies) nor changed, and no root is needed.
 */
export class AptArchive {
  readonly #folder: string;
  readonly #suites: readonly string[];
  readonly #mirror: DebianMirror;
  #updated = false;

  constructor(folder: string, suites: readonly string[], mirror: DebianMirror) {
    this.#folder = folder;
    this.#suites = suites;
    this.#mirror = mirror;
  }

  /**
   * Downloads packages, each alone, and returns the files.
   * @throws CannotFetch
   */
  async download(into: string, ...packages: readonly string[]): Promise<string[]> {
    await this.#update();
    await mkdir(into, { recursive: true });
    await this.#run("apt-get", ["-qq", "download", ...packages], into);
    return debs(into);
  }

  /** Downloads a package of a suite with everything that it needs, as if nothing were installed. */
  async downloadClosure(into: string, suite: string, name: string): Promise<string[]> {
    await this.#update();
    await mkdir(join(into, "partial"), { recursive: true });
    const words = ["-y", "-qq", "-t", suite, "-o", `Dir::Cache::Archives=${into}`];
    await this.#run("apt-get", [...words, "--download-only", "install", name]);
    return debs(into);
  }

  /** What a package (such as a metapackage) depends on directly. */
  async dependencies(name: string): Promise<string[]> {
    await this.#update();
    const text = await this.#run("apt-cache", ["depends", name]);
    return [...text.matchAll(/^\s*Depends:\s*(\S+)/gmu)].map((match) => match[1] ?? "");
  }

  async #update(): Promise<void> {
    if (this.#updated) return;
    const folder = this.#folder;
    for (const name of ["lists/partial", "cache/archives/partial", "etc", "none"]) {
      await mkdir(join(folder, name), { recursive: true });
    }
    await writeFile(join(folder, "status"), "");
    const { uri, keyring } = this.#mirror;
    const lines = this.#suites.map((suite) => `deb [signed-by=${keyring}] ${uri} ${suite} main\n`);
    await writeFile(join(folder, "etc", "sources.list"), lines.join(""));
    await this.#run("apt-get", ["-qq", "update"]);
    this.#updated = true;
  }

  async #run(program: string, words: readonly string[], cwd?: string): Promise<string> {
    try {
      const options = cwd === undefined ? {} : { cwd };
      const { stdout, stderr } = await command(program, [...this.#settings(), ...words], options);
      // "update" tells some failures as warnings only.
      if (/^(E|W): (Failed to fetch|Some index files failed)/mu.test(stderr)) {
        throw new CannotFetch(firstLines(stderr));
      }
      return stdout.toString("utf8");
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      throw new CannotFetch(firstLines(cause.message), { cause });
    }
  }

  /** As options of the command line these win over the machine's own configuration. */
  #settings(): string[] {
    const folder = this.#folder;
    const none = join(folder, "none");
    const settings = {
      "Dir::State": folder,
      "Dir::State::Lists": join(folder, "lists"),
      "Dir::State::status": join(folder, "status"),
      "Dir::Cache": join(folder, "cache"),
      "Dir::Etc::SourceList": join(folder, "etc", "sources.list"),
      "Dir::Etc::SourceParts": none,
      "Dir::Etc::Preferences": join(none, "preferences"),
      "Dir::Etc::PreferencesParts": none,
      "APT::Architecture": "amd64",
      "APT::Architectures": "amd64",
      "APT::Install-Recommends": "false",
      "APT::Sandbox::User": "root",
      "APT::Update::Post-Invoke": "",
      "APT::Update::Post-Invoke-Success": "",
      "Acquire::Languages": "none",
      "Acquire::Retries": "3",
      "Acquire::http::Timeout": "30",
      "Debug::NoLocking": "1",
    };
    return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  }
}

/** Unpacks packages into one folder, then removes the files. */
export async function unpack(files: readonly string[], root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const file of files) await command("dpkg-deb", ["-x", file, root]);
  for (const file of files) await rm(file);
}

async function debs(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith(".deb")).map((name) => join(folder, name));
}

function firstLines(text: string): string {
  return text.trim().split("\n").slice(0, 6).join("\n");
}

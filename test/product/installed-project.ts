import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A file of a package that a third party publishes. */
export interface ThirdParty {
  readonly name: string;
  readonly source: string;
}

/** An npm project of somebody else, with our packages installed from their tarballs. */
export interface InstalledProject extends AsyncDisposable {
  readonly folder: string;
  write(name: string, text: string): Promise<void>;
  /** Runs the installed `vfmig`. */
  vfmig(...words: readonly string[]): Promise<CommandResult>;
}

/** Packs every package, and installs the tarballs and the third party's packages into an empty project. */
export async function installProject(
  thirdParties: readonly ThirdParty[],
): Promise<InstalledProject> {
  const folder = await mkdtemp(join(tmpdir(), "vfmig-product-"));
  const tarballs = await packAll(join(folder, "tarballs"));
  const dependencies: Record<string, string> = {};
  for (const [name, file] of tarballs) dependencies[name] = `file:${file}`;
  for (const party of thirdParties) {
    await writeThirdParty(folder, party);
    dependencies[party.name] = `file:./third-party/${party.name}`;
  }
  // Dependencies between our own tarballs must come from tarballs too, not from a registry.
  const overrides = Object.fromEntries(tarballs.map(([name]) => [name, `$${name}`]));
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name: "someone", private: true, type: "module", dependencies, overrides }),
  );
  const words = ["install", "--no-audit", "--no-fund", "--install-links", "--loglevel=error"];
  const installed = await call("npm", words, folder);
  if (installed.code !== 0) throw new Error(`npm install failed:\n${installed.stderr}`);
  await cp(
    join(repository, "examples", "demo", "real-traffic.pcap"),
    join(folder, "real-traffic.pcap"),
  );
  const bin = join(folder, "node_modules", "@vfmig", "cli", "bin", "vfmig.js");
  return {
    folder,
    write: (name, text) => writeFile(join(folder, name), text),
    vfmig: (...args) => call(process.execPath, [bin, ...args], folder),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function packAll(destination: string): Promise<[string, string][]> {
  await mkdir(destination);
  const tarballs: [string, string][] = [];
  const pnpm = join(repository, "node_modules", ".bin", "pnpm");
  for (const name of await readdir(join(repository, "packages"))) {
    const source = join(repository, "packages", name);
    const manifest = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as {
      name: string;
      version: string;
    };
    const packed = await call(pnpm, ["pack", "--pack-destination", destination], source);
    if (packed.code !== 0) throw new Error(`pnpm pack ${name} failed:\n${packed.stderr}`);
    const file = `${manifest.name.slice(1).replace("/", "-")}-${manifest.version}.tgz`;
    tarballs.push([manifest.name, join(destination, file)]);
  }
  return tarballs;
}

async function writeThirdParty(folder: string, party: ThirdParty): Promise<void> {
  const home = join(folder, "third-party", party.name);
  await mkdir(home, { recursive: true });
  await writeFile(join(home, "index.js"), party.source);
  await writeFile(
    join(home, "package.json"),
    JSON.stringify({
      name: party.name,
      version: "3.2.1",
      type: "module",
      exports: { ".": "./index.js", "./package.json": "./package.json" },
      files: ["index.js"],
      keywords: ["vfmig-plugin"],
      peerDependencies: { "@vfmig/core": ">=0.1.0" },
    }),
  );
}

function call(command: string, words: readonly string[], cwd: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    const env = { ...process.env, npm_config_loglevel: "error" };
    execFile(command, [...words], { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

// Writes docs/errors.md from the table of error codes: node scripts/errors-page.mjs [--check]
// With --check it writes nothing and fails where the page is not the current one.
import { readFile, readdir, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const areas = new URL("../packages/core/src/errors/codes/", import.meta.url);
const page = new URL("../docs/errors.md", import.meta.url);

/** What each area's codes are about; an area that is missing here goes by its file name. */
const titles = {
  cli: "Command line",
  config: "Configuration and packages",
  device: "Devices: regions, irqs, DMA and guest memory",
  host: "Host and device processes",
  iavf: "Intel virtual functions",
  linux: "System calls",
  migration: "Migration",
  plugin: "Sub-drivers",
  "shadow-queue": "Shadow queues",
  state: "Device state",
  testkit: "Testkit",
  "vfio-pci": "The kernel's VFIO",
  "vfio-user": "vfio-user",
};

const intro = `# Errors

Every error of vfmig is a \`VfmigError\` with a stable \`code\`, the \`layer\` in which it arose (\`core\`, \`base\`,
\`plugin:<name>\`, \`vfio-user\`, ...), \`details\` for machines and, where there is one, the \`cause\`. Its message
says what happened, where, why, and what to do next. This page is made from the table in the code
(\`packages/core/src/errors/codes\`) by \`node scripts/errors-page.mjs\`.
`;

async function sections() {
  const files = (await readdir(areas)).filter((name) => name.endsWith(".ts")).toSorted();
  const texts = [];
  for (const file of files) {
    const codes = Object.assign({}, ...Object.values(await import(new URL(file, areas).href)));
    const names = Object.keys(codes).toSorted();
    if (names.length === 0) continue;
    const area = basename(file, ".ts");
    const entries = names.map(
      (name) => `### ${name}\n\n${codes[name].means}\n\n*To do:* ${codes[name].remedy}\n`,
    );
    texts.push(`## ${titles[area] ?? area}\n\n${entries.join("\n")}`);
  }
  return texts;
}

const text = [intro, ...(await sections())].join("\n");
if (process.argv.includes("--check")) {
  const current = await readFile(page, "utf8").catch(() => "");
  if (current !== text) {
    process.stderr.write("docs/errors.md is not current; run: node scripts/errors-page.mjs\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(page, text);
  process.stderr.write(`${fileURLToPath(page)} written\n`);
}

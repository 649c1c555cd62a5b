// Preloaded into the node process that jsii starts (see bindings.py): the index of a CDKTF provider package loads all of
// its resources at once; here each is loaded when it is first asked for. A file of another shape is left as it is.
"use strict";
const fs = require("fs");
const Module = require("module");

const PROVIDER_INDEX = /[\\/]node_modules[\\/]@cdkt[fn][\\/]provider-[^\\/]+[\\/]lib[\\/]index\.js$/;
const EAGER_EXPORT = /^exports\.(\w+) = require\(("\.[^"\n]+")\);$/gm;
const LAZY_EXPORT =
  'Object.defineProperty(exports, "$1", { enumerable: true, configurable: true, get: () => require($2) });';

const loadAsUsual = Module._extensions[".js"];

Module._extensions[".js"] = function load(module, filename) {
  if (!PROVIDER_INDEX.test(filename)) return loadAsUsual(module, filename);
  let source;
  try {
    source = fs.readFileSync(filename, "utf8").replace(EAGER_EXPORT, LAZY_EXPORT);
  } catch {
    return loadAsUsual(module, filename);
  }
  return module._compile(source, filename);
};

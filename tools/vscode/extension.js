// Starts the language server and connects the editor with it.
"use strict";
const { workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

exports.activate = (context) => {
  const command = workspace.getConfiguration("nim").get("server");
  const run = { command, transport: TransportKind.stdio };
  client = new LanguageClient("nim", "nim IR", { run, debug: run }, { documentSelector: [{ language: "nir" }] });
  context.subscriptions.push(client);
  return client.start();
};

exports.deactivate = () => client?.stop();

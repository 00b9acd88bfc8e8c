// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_
#define KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_

#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "cli/text/table.h"

namespace kinsock {

// What the commands about networks, policies, forwards and so on have in common.

// "lab" for "networks/lab".
inline std::string LastPart(const std::string& name) { return name.substr(name.rfind('/') + 1); }

// Asks what has one thing for an answer, and shows it.
template <typename Response, typename Request, typename Stub>
ExitCode AskAndShow(Stub& (Client::*service)(),
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, void (*show)(const std::vector<Response>&, bool list, const Options&),
                    const Options& options) {
  Client client(options);
  Response response;
  const grpc::Status status = Ask(client, (client.*service)(), method, request, response);
  if (!status.ok()) return client.Report(status);
  show({response}, false, options);
  return kExitOk;
}

// The same of what is done without a word.
template <typename Response, typename Request, typename Stub>
ExitCode AskQuietly(Stub& (Client::*service)(),
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, const Options& options) {
  Client client(options);
  Response response;
  return client.Report(Ask(client, (client.*service)(), method, request, response));
}

// Says on standard error that `text`, the value of `flag`, is not of a form. Always false.
inline bool Fault(const char* flag, const std::string& text, const char* form) {
  std::fprintf(stderr, "kinsockctl: %s: \"%s\" is not %s\n", flag, text.c_str(), form);
  return false;
}

// Shows messages of one kind: as they are, by their names, or by `row` in a table.
template <typename Message, typename Row>
void Show(const std::vector<Message>& items, bool list, std::vector<std::string> headers, Row row,
          const Options& options, const google::protobuf::Message& whole) {
  const google::protobuf::Message& shown = list ? whole : static_cast<const google::protobuf::Message&>(items.front());
  Print(RenderList(items, shown, options.format, [&] {
    Table table(std::move(headers));
    for (const Message& item : items) table.Add(row(item));
    return table.Render(options);
  }));
}

// Sets `command` to `run` with the flags when `app` was given.
template <typename Flags>
void Bind(CLI::App* app, std::shared_ptr<Flags> flags, ExitCode (*run)(const Flags&, const Options&),
          Command& command) {
  app->callback(
      [flags, run, &command] { command = [flags, run](const Options& options) { return run(*flags, options); }; });
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_

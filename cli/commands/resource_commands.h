// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_
#define KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_

#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
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

// The same of a listing: all of it, in the order of the daemon.
template <typename Item, typename Response, typename Request, typename Stub>
ExitCode AskAndShowAll(Stub& (Client::*service)(),
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request,
                       const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                       void (*show)(const std::vector<Item>&, bool list, const Options&), const Options& options) {
  Client client(options);
  std::vector<Item> all;
  const grpc::Status status = AskForAll(client, (client.*service)(), method, request, items, all);
  if (!status.ok()) return client.Report(status);
  show(all, true, options);
  return kExitOk;
}

// Asks for what is done without a word.
template <typename Response, typename Request, typename Stub>
ExitCode AskQuietly(Stub& (Client::*service)(),
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, const Options& options) {
  Client client(options);
  Response response;
  return client.Report(Ask(client, (client.*service)(), method, request, response));
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

// What declares a command below `parent`: (name, help, run), which gives the command and its flags to be filled. Sets
// `command` to `run` with them when that command was given.
template <typename Flags>
auto DeclareBelow(CLI::App* parent, Command& command) {
  return [parent, &command](const char* name, const char* help, ExitCode (*run)(const Flags&, const Options&)) {
    CLI::App* const one = parent->add_subcommand(name, help);
    const auto flags = std::make_shared<Flags>();
    one->callback(
        [flags, run, &command] { command = [flags, run](const Options& options) { return run(*flags, options); }; });
    return std::pair(one, flags);
  };
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_COMMANDS_RESOURCE_COMMANDS_H_

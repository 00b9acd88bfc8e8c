// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_RESOURCE_COMMANDS_H_
#define KINSOCK_CLI_RESOURCE_COMMANDS_H_

#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/table.h"

namespace kinsock {

// What the commands about networks, policies, forwards and so on have in common.

// As many as a page may have.
inline constexpr int kPageSize = 1000;

// "lab" for "networks/lab".
inline std::string LastPart(const std::string& name) { return name.substr(name.rfind('/') + 1); }

template <typename Response, typename Request, typename Stub>
grpc::Status Ask(const Client& client, Stub& stub,
                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request,
                 Response& response) {
  grpc::ClientContext context;
  client.SetDeadline(context, kQuestionTimeout);
  return (stub.*method)(&context, request, &response);
}

// Shows messages of one kind: as they are, by their names, or by `row` in a table.
template <typename Message, typename Row>
void Show(const std::vector<Message>& items, bool list, std::vector<std::string> headers, Row row,
          const Options& options, const google::protobuf::Message& whole) {
  std::string text;
  switch (options.format) {
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      return Print(Render(list ? whole : static_cast<const google::protobuf::Message&>(items.front()), options.format));
    case OutputFormat::kJsonl:
      for (const Message& item : items) text += Render(item, options.format);
      return Print(text);
    case OutputFormat::kName:
      for (const Message& item : items) text += item.name() + "\n";
      return Print(text);
    default:
      break;
  }
  Table table(std::move(headers));
  for (const Message& item : items) table.Add(row(item));
  Print(table.Render(options));
}

// Sets `command` to `run` with the flags when `app` was given.
template <typename Flags>
void Bind(CLI::App* app, std::shared_ptr<Flags> flags, ExitCode (*run)(const Flags&, const Options&),
          Command& command) {
  app->callback(
      [flags, run, &command] { command = [flags, run](const Options& options) { return run(*flags, options); }; });
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_RESOURCE_COMMANDS_H_

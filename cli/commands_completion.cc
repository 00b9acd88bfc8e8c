// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/output.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

// Who presses Tab waits; a daemon that is slower has no names to give.
constexpr std::chrono::milliseconds kPatience{1000};
// As many as one page has; nobody chooses from more.
constexpr int kMostNames = 1000;

std::vector<std::string> VmNames(Client& client) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListVmsRequest request;
  request.set_page_size(kMostNames);
  v1::ListVmsResponse list;
  std::vector<std::string> names;
  if (!client.vms().ListVms(&context, request, &list).ok()) return names;
  for (const v1::Vm& vm : list.vms()) names.push_back(ShortVmName(vm.name()));
  return names;
}

std::vector<std::string> ConnectionNames(Client& client) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListConnectionsRequest request;
  request.set_page_size(kMostNames);
  v1::ListConnectionsResponse list;
  std::vector<std::string> names;
  if (!client.connections().ListConnections(&context, request, &list).ok()) return names;
  for (const v1::Connection& connection : list.connections()) names.push_back(connection.name());
  return names;
}

}  // namespace

void DeclareCompletion(CLI::App& app, Command& command) {
  CLI::App* completion =
      app.add_subcommand("completion", "Print the script that completes kinsockctl's commands and names in a shell");
  auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->option_text("bash|zsh|fish");
  completion->callback([shell, &command] {
    command = [shell](const Options&) {
      Print(CompletionScript(*shell));
      return kExitOk;
    };
  });
}

void PrintCandidates(const CLI::App& app, const std::vector<std::string>& words, const Options& options) {
  const auto names = [&](NameKind kind) {
    Client client(options);
    return kind == NameKind::kVm ? VmNames(client) : ConnectionNames(client);
  };
  for (const Candidate& candidate : Complete(app, words, names)) {
    Print(candidate.help.empty() ? candidate.word + "\n" : candidate.word + "\t" + candidate.help + "\n");
  }
}

}  // namespace kinsock

// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/complete.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

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

std::string LastPart(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::vector<std::string> NetworkNames(Client& client) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListNetworksRequest request;
  request.set_page_size(kMostNames);
  v1::ListNetworksResponse list;
  std::vector<std::string> names;
  if (!client.networks().ListNetworks(&context, request, &list).ok()) return names;
  for (const v1::Network& network : list.networks()) names.push_back(LastPart(network.name()));
  return names;
}

std::vector<std::string> PolicyNames(Client& client, const std::string& network) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListPoliciesRequest request;
  request.set_parent(network);
  request.set_page_size(kMostNames);
  v1::ListPoliciesResponse list;
  std::vector<std::string> names;
  if (!client.networks().ListPolicies(&context, request, &list).ok()) return names;
  for (const v1::Policy& policy : list.policies()) names.push_back(LastPart(policy.name()));
  return names;
}

std::vector<std::string> CidNames(Client& client, const std::string& network) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListCidsRequest request;
  request.set_parent(network);
  request.set_page_size(kMostNames);
  v1::ListCidsResponse list;
  std::vector<std::string> names;
  if (!client.networks().ListCids(&context, request, &list).ok()) return names;
  for (const v1::CidLease& lease : list.cids()) {
    if (lease.state() != v1::CidLease::ALLOCATED) names.push_back(LastPart(lease.name()));
  }
  return names;
}

std::vector<std::string> ForwardNames(Client& client) {
  grpc::ClientContext context;
  client.SetDeadline(context, kPatience);
  v1::ListForwardsRequest request;
  request.set_page_size(kMostNames);
  v1::ListForwardsResponse list;
  std::vector<std::string> names;
  if (!client.forwards().ListForwards(&context, request, &list).ok()) return names;
  for (const v1::Forward& forward : list.forwards()) names.push_back(LastPart(forward.name()));
  return names;
}

std::vector<std::string> Names(Client& client, NameKind kind, const std::string& network) {
  const std::string parent = "networks/" + (network.empty() ? "default" : LastPart(network));
  switch (kind) {
    case NameKind::kVm:
      return VmNames(client);
    case NameKind::kConnection:
      return ConnectionNames(client);
    case NameKind::kNetwork:
      return NetworkNames(client);
    case NameKind::kPolicy:
      return PolicyNames(client, parent);
    case NameKind::kCid:
      return CidNames(client, parent);
    case NameKind::kForward:
      return ForwardNames(client);
  }
  return {};
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
  const auto names = [&](NameKind kind, const std::string& network) {
    Client client(options);
    return Names(client, kind, network);
  };
  for (const Candidate& candidate : Complete(app, words, names)) {
    Print(candidate.help.empty() ? candidate.word + "\n" : candidate.word + "\t" + candidate.help + "\n");
  }
}

}  // namespace kinsock

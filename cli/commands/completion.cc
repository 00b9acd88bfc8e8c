// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/complete.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/choice.h"
#include "cli/text/output.h"

namespace kinsock {
namespace {

// Who presses Tab waits; a daemon that is slower has no names to give.
constexpr std::chrono::milliseconds kPatience{1000};
using Networks = v1::NetworkService::Stub;

// The last parts of the names that one page of a listing has, of what `wanted` is true for.
template <typename Item, typename Response, typename Request, typename Stub, typename Wanted>
std::vector<std::string> NamesOfPage(const Client& client, Stub& stub,
                                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                     Request request,
                                     const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                                     Wanted wanted) {
  request.set_page_size(kPageSize);
  Response page;
  std::vector<std::string> names;
  if (!Ask(client, stub, method, request, page, kPatience).ok()) return names;
  for (const Item& item : (page.*items)()) {
    if (wanted(item)) names.push_back(LastPart(item.name()));
  }
  return names;
}

std::vector<std::string> Names(Client& client, NameKind kind, const std::string& network) {
  const std::string parent = "networks/" + (network.empty() ? "default" : LastPart(network));
  const auto any = [](const auto&) { return true; };
  switch (kind) {
    case NameKind::kVm:
      return NamesOfPage(client, client.vms(), &v1::VmService::Stub::ListVms, v1::ListVmsRequest(),
                         &v1::ListVmsResponse::vms, any);
    case NameKind::kConnection:
      return NamesOfPage(client, client.connections(), &v1::ConnectionService::Stub::ListConnections,
                         v1::ListConnectionsRequest(), &v1::ListConnectionsResponse::connections, any);
    case NameKind::kNetwork:
      return NamesOfPage(client, client.networks(), &Networks::ListNetworks, v1::ListNetworksRequest(),
                         &v1::ListNetworksResponse::networks, any);
    case NameKind::kPolicy: {
      v1::ListPoliciesRequest request;
      request.set_parent(parent);
      return NamesOfPage(client, client.networks(), &Networks::ListPolicies, request,
                         &v1::ListPoliciesResponse::policies, any);
    }
    case NameKind::kCid: {
      v1::ListCidsRequest request;
      request.set_parent(parent);
      const auto is_kept = [](const v1::CidLease& lease) { return lease.state() != v1::CidLease::ALLOCATED; };
      return NamesOfPage(client, client.networks(), &Networks::ListCids, request, &v1::ListCidsResponse::cids, is_kept);
    }
    case NameKind::kForward:
      return NamesOfPage(client, client.forwards(), &v1::ForwardService::Stub::ListForwards, v1::ListForwardsRequest(),
                         &v1::ListForwardsResponse::forwards, any);
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
      ->check(OneOf({"bash", "zsh", "fish"}))
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

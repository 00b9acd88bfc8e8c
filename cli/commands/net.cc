// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/choice.h"
#include "cli/flags/flag_fault.h"
#include "cli/flags/network_name.h"
#include "cli/flags/number_range.h"
#include "cli/flags/quota_flags.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;
using Stub = v1::NetworkService::Stub;

void ShowNetworks(const std::vector<v1::Network>& networks, bool list, const Options& options) {
  v1::ListNetworksResponse whole;
  *whole.mutable_networks() = {networks.begin(), networks.end()};
  Show(
      networks, list, {"NAME", "DEFAULT", "CIDS", "QUARANTINE", "VMS", "POLICIES", "ALLOWED", "DENIED"},
      [](const v1::Network& network) {
        return std::vector<std::string>{LastPart(network.name()),
                                        v1::Network::DefaultPolicy_Name(network.default_policy()),
                                        RangeText(network.cid_range().first(), network.cid_range().last()),
                                        TimeUtil::ToString(network.quarantine()),
                                        absl::StrCat(network.vms()),
                                        absl::StrCat(network.policies()),
                                        absl::StrCat(network.default_allowed()),
                                        absl::StrCat(network.default_denied())};
      },
      options, whole);
}

struct NetworkFlags {
  std::string name;
  std::string cids;
  std::vector<std::string> reserved;
  std::string quarantine;
  std::string otherwise;
  std::vector<std::string> quota;
  bool force = false;
};

// Nothing: said on standard error what is wrong. Adds what was said to `mask`.
bool FillNetwork(const NetworkFlags& flags, v1::Network& network, google::protobuf::FieldMask& mask) {
  uint32_t first = 0, last = 0;
  if (!flags.cids.empty()) {
    if (!ParseRange(flags.cids, first, last)) return Fault("--cids", flags.cids, "a range; write 1024-2047");
    network.mutable_cid_range()->set_first(first);
    network.mutable_cid_range()->set_last(last);
    mask.add_paths("cid_range");
  }
  for (const std::string& text : flags.reserved) {
    if (!ParseRange(text, first, last)) return Fault("--reserved", text, "a range; write 100-199");
    v1::CidRange& range = *network.add_reserved_ranges();
    range.set_first(first);
    range.set_last(last);
  }
  if (!flags.reserved.empty()) mask.add_paths("reserved_ranges");
  if (!flags.quarantine.empty()) {
    const auto time = TimeOf("--quarantine", flags.quarantine);
    if (!time.has_value()) return false;
    SetDuration(*time, *network.mutable_quarantine());
    mask.add_paths("quarantine");
  }
  if (!flags.otherwise.empty()) {
    v1::Network::DefaultPolicy otherwise = v1::Network::SHARED_GROUP;
    if (flags.otherwise == "allow") otherwise = v1::Network::ALLOW;
    if (flags.otherwise == "deny") otherwise = v1::Network::DENY;
    network.set_default_policy(otherwise);
    mask.add_paths("default_policy");
  }
  if (flags.quota.empty()) return true;
  std::vector<std::string> limits;
  if (const std::string wrong = ParseQuota(flags.quota, *network.mutable_quota(), limits); !wrong.empty()) {
    std::fprintf(stderr, "kinsockctl: %s\n", wrong.c_str());
    return false;
  }
  for (const std::string& limit : limits) mask.add_paths("quota." + limit);
  return true;
}

ExitCode CreateNetwork(const NetworkFlags& flags, const Options& options) {
  v1::CreateNetworkRequest request;
  google::protobuf::FieldMask mask;
  request.set_network_id(LastPart(flags.name));
  if (!FillNetwork(flags, *request.mutable_network(), mask)) return kExitUsage;
  return AskAndShow(&Client::networks, &Stub::CreateNetwork, request, ShowNetworks, options);
}

ExitCode SetNetwork(const NetworkFlags& flags, const Options& options) {
  v1::UpdateNetworkRequest request;
  if (!FillNetwork(flags, *request.mutable_network(), *request.mutable_update_mask())) return kExitUsage;
  if (request.update_mask().paths().empty()) {
    std::fprintf(stderr,
                 "kinsockctl: net set: say what to change: --default, --cids, --reserved, --quarantine, --quota\n");
    return kExitUsage;
  }
  request.mutable_network()->set_name(FullNetworkName(flags.name));
  return AskAndShow(&Client::networks, &Stub::UpdateNetwork, request, ShowNetworks, options);
}

ExitCode GetNetwork(const NetworkFlags& flags, const Options& options) {
  v1::GetNetworkRequest request;
  request.set_name(FullNetworkName(flags.name));
  return AskAndShow(&Client::networks, &Stub::GetNetwork, request, ShowNetworks, options);
}

ExitCode DeleteNetwork(const NetworkFlags& flags, const Options& options) {
  v1::DeleteNetworkRequest request;
  request.set_name(FullNetworkName(flags.name));
  request.set_force(flags.force);
  return AskQuietly(&Client::networks, &Stub::DeleteNetwork, request, options);
}

ExitCode ListNetworks(const Options& options) {
  v1::ListNetworksRequest request;
  return AskAndShowAll(&Client::networks, &Stub::ListNetworks, request, &v1::ListNetworksResponse::networks,
                       ShowNetworks, options);
}

void AddNetworkFlags(CLI::App* app, NetworkFlags& flags) {
  app->add_option("name", flags.name, "Its name")->required();
  app->add_option("--default", flags.otherwise, "What holds where no policy says anything")
      ->check(OneOf({"shared-group", "allow", "deny"}))
      ->option_text("shared-group|allow|deny");
  app->add_option("--cids", flags.cids, "Where the daemon chooses CIDs")->option_text("FIRST-LAST");
  app->add_option("--reserved", flags.reserved, "Where it never does; may be repeated")->option_text("FIRST-LAST");
  app->add_option("--quarantine", flags.quarantine, "How long a CID rests before another VM may have it")
      ->option_text("60s|2m");
  app->add_option("--quota", flags.quota, "What no VM of it gets more of; limits as of vm create; may be repeated")
      ->delimiter(',')
      ->option_text("LIMIT=VALUE");
}

}  // namespace

void DeclareNetCommands(CLI::App& app, Command& command) {
  CLI::App* net = app.add_subcommand("net", "Networks, each a space of CIDs");
  net->require_subcommand(1)->fallthrough();
  net->footer(
      "Examples:\n  kinsockctl net create lab --cids 5000-5999 --default deny   # then: kinsockctl vm create a --net "
      "lab\n"
      "  kinsockctl net set lab --quarantine 2m --quota max_connections=100\n  kinsockctl net list");
  const auto declare = DeclareBelow<NetworkFlags>(net, command);
  const auto [create, create_flags] = declare("create", "Make a network", CreateNetwork);
  AddNetworkFlags(create, *create_flags);
  const auto [set, set_flags] = declare("set", "Change a network", SetNetwork);
  AddNetworkFlags(set, *set_flags);
  const auto [get, get_flags] = declare("get", "Show a network", GetNetwork);
  get->add_option("name", get_flags->name, "Its name")->required();
  const auto [remove, remove_flags] = declare("delete", "Take a network away in which no VM is", DeleteNetwork);
  remove->add_option("name", remove_flags->name, "Its name")->required();
  remove->add_flag("--force", remove_flags->force, "With its policies");
  net->add_subcommand("list", "Show the networks")->callback([&command] { command = ListNetworks; });
}

}  // namespace kinsock

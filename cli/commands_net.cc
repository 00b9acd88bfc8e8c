// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/output.h"
#include "cli/quota_flags.h"
#include "cli/resource_commands.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;

std::string FullNetworkName(const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : "networks/" + name;
}

// "default/closed", or the full name.
std::string FullPolicyName(const std::string& network, const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : absl::StrCat(FullNetworkName(network), "/policies/", name);
}

// "80" or "1-1023".
bool ParseRange(const std::string& text, uint32_t& first, uint32_t& last) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(parts.first, &first)) return false;
  last = first;
  return text.find('-') == std::string::npos || absl::SimpleAtoi(parts.second, &last);
}

std::string RangeText(uint32_t first, uint32_t last) {
  return first == last ? absl::StrCat(first) : absl::StrCat(first, "-", last);
}

// --- Networks ---

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
  const auto fault = [](const char* flag, const std::string& text, const char* form) {
    std::fprintf(stderr, "kinsockctl: %s: \"%s\" is not %s\n", flag, text.c_str(), form);
    return false;
  };
  uint32_t first = 0, last = 0;
  if (!flags.cids.empty()) {
    if (!ParseRange(flags.cids, first, last)) return fault("--cids", flags.cids, "a range; write 1024-2047");
    network.mutable_cid_range()->set_first(first);
    network.mutable_cid_range()->set_last(last);
    mask.add_paths("cid_range");
  }
  for (const std::string& text : flags.reserved) {
    if (!ParseRange(text, first, last)) return fault("--reserved", text, "a range; write 100-199");
    v1::CidRange& range = *network.add_reserved_ranges();
    range.set_first(first);
    range.set_last(last);
  }
  if (!flags.reserved.empty()) mask.add_paths("reserved_ranges");
  if (!flags.quarantine.empty()) {
    const auto time = ParseDuration(flags.quarantine);
    if (!time.has_value()) return fault("--quarantine", flags.quarantine, "a time; write 30s or 2m");
    *network.mutable_quarantine() = TimeUtil::MillisecondsToDuration(time->count());
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
  Client client(options);
  v1::Network network;
  const grpc::Status status =
      Ask(client, client.networks(), &v1::NetworkService::Stub::CreateNetwork, request, network);
  if (!status.ok()) return client.Report(status);
  ShowNetworks({network}, false, options);
  return kExitOk;
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
  Client client(options);
  v1::Network network;
  const grpc::Status status =
      Ask(client, client.networks(), &v1::NetworkService::Stub::UpdateNetwork, request, network);
  if (!status.ok()) return client.Report(status);
  ShowNetworks({network}, false, options);
  return kExitOk;
}

ExitCode GetNetwork(const NetworkFlags& flags, const Options& options) {
  v1::GetNetworkRequest request;
  request.set_name(FullNetworkName(flags.name));
  Client client(options);
  v1::Network network;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::GetNetwork, request, network);
  if (!status.ok()) return client.Report(status);
  ShowNetworks({network}, false, options);
  return kExitOk;
}

ExitCode DeleteNetwork(const NetworkFlags& flags, const Options& options) {
  v1::DeleteNetworkRequest request;
  request.set_name(FullNetworkName(flags.name));
  request.set_force(flags.force);
  Client client(options);
  v1::Network network;
  const grpc::Status status =
      Ask(client, client.networks(), &v1::NetworkService::Stub::DeleteNetwork, request, network);
  return status.ok() ? kExitOk : client.Report(status);
}

ExitCode ListNetworks(const Options& options) {
  Client client(options);
  std::vector<v1::Network> all;
  v1::ListNetworksRequest request;
  request.set_page_size(kPageSize);
  do {
    v1::ListNetworksResponse page;
    const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::ListNetworks, request, page);
    if (!status.ok()) return client.Report(status);
    all.insert(all.end(), page.networks().begin(), page.networks().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  ShowNetworks(all, true, options);
  return kExitOk;
}

// --- Policies ---

std::string SelectorText(const v1::Policy::Selector& selector) {
  if (selector.host()) return "host";
  std::vector<std::string> parts;
  if (!selector.vm().empty()) parts.push_back(ShortVmName(selector.vm()));
  for (const auto& [key, value] : selector.labels()) parts.push_back(absl::StrCat(key, "=", value));
  if (selector.groups_size() > 0) parts.push_back(absl::StrCat("group:", absl::StrJoin(selector.groups(), "+")));
  if (selector.has_cid_range()) {
    parts.push_back(absl::StrCat("cid:", RangeText(selector.cid_range().first(), selector.cid_range().last())));
  }
  std::sort(parts.begin(), parts.end());
  return parts.empty() ? "any" : absl::StrJoin(parts, ",");
}

// The other way round. False: said what is wrong.
bool ParseSelector(const std::string& text, const char* flag, v1::Policy::Selector& selector) {
  if (text.empty() || text == "any") return true;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string item(part);
    uint32_t first = 0, last = 0;
    if (item == "host") {
      selector.set_host(true);
    } else if (item.rfind("group:", 0) == 0) {
      for (const absl::string_view group : absl::StrSplit(item.substr(6), '+')) selector.add_groups(std::string(group));
    } else if (item.rfind("cid:", 0) == 0 && ParseRange(item.substr(4), first, last)) {
      selector.mutable_cid_range()->set_first(first);
      selector.mutable_cid_range()->set_last(last);
    } else if (const size_t equals = item.find('='); equals != std::string::npos) {
      (*selector.mutable_labels())[item.substr(0, equals)] = item.substr(equals + 1);
    } else if (item.find(':') == std::string::npos && !item.empty()) {
      selector.set_vm(FullVmName(item));
    } else {
      std::fprintf(stderr, "kinsockctl: %s: \"%s\" is none of any, host, VM, KEY=VALUE, group:A+B and cid:FIRST-LAST\n",
                   flag, item.c_str());
      return false;
    }
  }
  return true;
}

std::string PortsText(const v1::Policy& policy) {
  if (policy.ports().empty()) return "any";
  return absl::StrJoin(policy.ports(), ",", [](std::string* out, const v1::Policy::PortRange& range) {
    absl::StrAppend(out, RangeText(range.first(), range.last()));
  });
}

void ShowPolicies(const std::vector<v1::Policy>& policies, bool list, const Options& options) {
  v1::ListPoliciesResponse whole;
  *whole.mutable_policies() = {policies.begin(), policies.end()};
  Show(
      policies, list, {"PRIORITY", "NAME", "ACTION", "FROM", "TO", "PORTS", "RESETS", "HITS"},
      [](const v1::Policy& policy) {
        return std::vector<std::string>{absl::StrCat(policy.priority()),
                                        LastPart(policy.name()),
                                        policy.allow() ? "allow" : "deny",
                                        SelectorText(policy.from()),
                                        SelectorText(policy.to()),
                                        PortsText(policy),
                                        policy.reset_existing() ? "yes" : "no",
                                        absl::StrCat(policy.hits())};
      },
      options, whole);
}

struct PolicyFlags {
  std::string network = "default";
  std::string name;
  int32_t priority = 0;
  bool allow = false;
  bool deny = false;
  bool reset_existing = false;
  std::string from;
  std::string to;
  std::vector<std::string> ports;
  std::string target;
};

ExitCode CreatePolicy(const PolicyFlags& flags, const Options& options) {
  if (flags.allow == flags.deny) {
    std::fprintf(stderr, "kinsockctl: policy create: say --allow or --deny\n");
    return kExitUsage;
  }
  v1::CreatePolicyRequest request;
  request.set_parent(FullNetworkName(flags.network));
  request.set_policy_id(LastPart(flags.name));
  v1::Policy& policy = *request.mutable_policy();
  policy.set_priority(flags.priority);
  policy.set_allow(flags.allow);
  policy.set_reset_existing(flags.reset_existing);
  if (!ParseSelector(flags.from, "--from", *policy.mutable_from())) return kExitUsage;
  if (!ParseSelector(flags.to, "--to", *policy.mutable_to())) return kExitUsage;
  for (const std::string& text : flags.ports) {
    uint32_t first = 0, last = 0;
    if (!ParseRange(text, first, last)) {
      std::fprintf(stderr, "kinsockctl: --ports: \"%s\" is not a port or a range; write 80 or 1-1023\n", text.c_str());
      return kExitUsage;
    }
    v1::Policy::PortRange& range = *policy.add_ports();
    range.set_first(first);
    range.set_last(last);
  }
  Client client(options);
  v1::Policy made;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::CreatePolicy, request, made);
  if (!status.ok()) return client.Report(status);
  ShowPolicies({made}, false, options);
  return kExitOk;
}

ExitCode GetPolicy(const PolicyFlags& flags, const Options& options) {
  v1::GetPolicyRequest request;
  request.set_name(FullPolicyName(flags.network, flags.name));
  Client client(options);
  v1::Policy policy;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::GetPolicy, request, policy);
  if (!status.ok()) return client.Report(status);
  ShowPolicies({policy}, false, options);
  return kExitOk;
}

ExitCode DeletePolicy(const PolicyFlags& flags, const Options& options) {
  v1::DeletePolicyRequest request;
  request.set_name(FullPolicyName(flags.network, flags.name));
  Client client(options);
  v1::Policy policy;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::DeletePolicy, request, policy);
  return status.ok() ? kExitOk : client.Report(status);
}

// In the order in which they are asked.
ExitCode ListPolicies(const PolicyFlags& flags, const Options& options) {
  Client client(options);
  std::vector<v1::Policy> all;
  v1::ListPoliciesRequest request;
  request.set_parent(FullNetworkName(flags.network));
  request.set_page_size(kPageSize);
  do {
    v1::ListPoliciesResponse page;
    const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::ListPolicies, request, page);
    if (!status.ok()) return client.Report(status);
    all.insert(all.end(), page.policies().begin(), page.policies().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  std::stable_sort(all.begin(), all.end(),
                   [](const v1::Policy& a, const v1::Policy& b) { return a.priority() < b.priority(); });
  ShowPolicies(all, true, options);
  return kExitOk;
}

// "web-1 db-1:5432", "web-1 host:80". Exit code 5 when it is denied.
ExitCode TestPolicy(const PolicyFlags& flags, const Options& options) {
  const size_t colon = flags.target.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(flags.target.substr(colon + 1), &port)) {
    std::fprintf(stderr, "kinsockctl: policy test: \"%s\" is not of the form VM:PORT or host:PORT\n",
                 flags.target.c_str());
    return kExitUsage;
  }
  const auto end = [](const std::string& name) { return name == "host" ? name : FullVmName(name); };
  v1::TestPolicyRequest request;
  request.set_from(end(flags.from));
  request.set_to(end(flags.target.substr(0, colon)));
  request.set_port(port);
  Client client(options);
  v1::TestPolicyResponse answer;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::TestPolicy, request, answer);
  if (!status.ok()) return client.Report(status);
  if (ShowsMessage(options.format)) {
    Print(Render(answer, options.format));
  } else {
    const std::string by = answer.policy().empty()
                               ? absl::StrCat("the default of ", answer.network(), ", ",
                                              v1::Network::DefaultPolicy_Name(answer.default_policy()))
                               : answer.policy();
    Print(absl::StrCat(answer.allowed() ? "allowed" : "denied", " by ", by, "\n"));
  }
  return answer.allowed() ? kExitOk : kExitDenied;
}

// --- CIDs ---

void ShowCids(const std::vector<v1::CidLease>& cids, bool list, const Options& options) {
  v1::ListCidsResponse whole;
  *whole.mutable_cids() = {cids.begin(), cids.end()};
  Show(
      cids, list, {"CID", "STATE", "HOLDER", "UNTIL"},
      [](const v1::CidLease& lease) {
        std::string until;
        if (lease.has_expire_time()) until = TimeUtil::ToString(lease.expire_time());
        if (lease.has_quarantine_until()) until = TimeUtil::ToString(lease.quarantine_until());
        return std::vector<std::string>{absl::StrCat(lease.cid()), v1::CidLease::State_Name(lease.state()),
                                        lease.holder(), until.substr(0, until.find('.'))};
      },
      options, whole);
}

struct CidFlags {
  std::string network = "default";
  std::string cid;
  std::string holder;
  std::string ttl;
  bool force = false;
};

ExitCode ListCids(const CidFlags& flags, const Options& options) {
  Client client(options);
  std::vector<v1::CidLease> all;
  v1::ListCidsRequest request;
  request.set_parent(FullNetworkName(flags.network));
  request.set_page_size(kPageSize);
  do {
    v1::ListCidsResponse page;
    const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::ListCids, request, page);
    if (!status.ok()) return client.Report(status);
    all.insert(all.end(), page.cids().begin(), page.cids().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  ShowCids(all, true, options);
  return kExitOk;
}

ExitCode ReserveCid(const CidFlags& flags, const Options& options) {
  v1::ReserveCidRequest request;
  request.set_parent(FullNetworkName(flags.network));
  request.set_holder(flags.holder);
  uint32_t first = 0, last = 0;
  if (!flags.cid.empty() && flags.cid != "auto") {
    if (!ParseRange(flags.cid, first, last)) {
      std::fprintf(stderr, "kinsockctl: cid reserve: \"%s\" is none of auto, a CID and FIRST-LAST\n",
                   flags.cid.c_str());
      return kExitUsage;
    }
    if (flags.cid.find('-') == std::string::npos) {
      request.mutable_cid()->set_static_cid(first);
    } else {
      request.mutable_cid()->mutable_range()->set_first(first);
      request.mutable_cid()->mutable_range()->set_last(last);
    }
  }
  if (!flags.ttl.empty()) {
    const auto time = ParseDuration(flags.ttl);
    if (!time.has_value()) {
      std::fprintf(stderr, "kinsockctl: --ttl: \"%s\" is not a time; write 30s, 10m or 24h\n", flags.ttl.c_str());
      return kExitUsage;
    }
    *request.mutable_ttl() = TimeUtil::MillisecondsToDuration(time->count());
  }
  Client client(options);
  v1::CidLease lease;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::ReserveCid, request, lease);
  if (!status.ok()) return client.Report(status);
  ShowCids({lease}, false, options);
  return kExitOk;
}

ExitCode ReleaseCid(const CidFlags& flags, const Options& options) {
  v1::ReleaseCidRequest request;
  request.set_name(flags.cid.rfind("networks/", 0) == 0
                       ? flags.cid
                       : absl::StrCat(FullNetworkName(flags.network), "/cids/", flags.cid));
  request.set_force(flags.force);
  Client client(options);
  google::protobuf::Empty nothing;
  const grpc::Status status = Ask(client, client.networks(), &v1::NetworkService::Stub::ReleaseCid, request, nothing);
  return status.ok() ? kExitOk : client.Report(status);
}

void AddNetworkFlags(CLI::App* app, NetworkFlags& flags) {
  app->add_option("name", flags.name, "Its name")->required();
  app->add_option("--default", flags.otherwise, "What holds where no policy says anything")
      ->check(CLI::IsMember({"shared-group", "allow", "deny"}))
      ->option_text("shared-group|allow|deny");
  app->add_option("--cids", flags.cids, "Where the daemon chooses CIDs")->option_text("FIRST-LAST");
  app->add_option("--reserved", flags.reserved, "Where it never does; may be repeated")->option_text("FIRST-LAST");
  app->add_option("--quarantine", flags.quarantine, "How long a CID rests before another VM may have it")
      ->option_text("60s|2m");
  app->add_option("--quota", flags.quota, "What no VM of it gets more of; limits as of vm create; may be repeated")
      ->delimiter(',')
      ->option_text("LIMIT=VALUE");
}

constexpr char kSelectorHelp[] = "any|host|VM|KEY=VALUE|group:A+B|cid:FIRST-LAST, several with commas";

}  // namespace

void DeclareNetCommands(CLI::App& app, Command& command) {
  CLI::App* net = app.add_subcommand("net", "Networks, each a space of CIDs");
  net->require_subcommand(1)->fallthrough();
  const auto declare = [&](const char* name, const char* help, ExitCode (*run)(const NetworkFlags&, const Options&)) {
    CLI::App* one = net->add_subcommand(name, help);
    auto flags = std::make_shared<NetworkFlags>();
    Bind(one, flags, run, command);
    return std::pair(one, flags);
  };
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

void DeclarePolicyCommands(CLI::App& app, Command& command) {
  CLI::App* policy = app.add_subcommand("policy", "Who may connect to whom");
  policy->require_subcommand(1)->fallthrough();
  const auto declare = [&](const char* name, const char* help, ExitCode (*run)(const PolicyFlags&, const Options&)) {
    CLI::App* one = policy->add_subcommand(name, help);
    auto flags = std::make_shared<PolicyFlags>();
    Bind(one, flags, run, command);
    return std::pair(one, flags);
  };
  const auto add_network = [](CLI::App* one, PolicyFlags& flags) {
    one->add_option("--net", flags.network, "The network, by default \"default\"")->option_text("NAME");
  };
  const auto [create, made] = declare("create", "Make a policy", CreatePolicy);
  create->add_option("name", made->name, "Its name")->required();
  add_network(create, *made);
  create->add_option("--priority", made->priority, "Lower ones are asked first")->option_text("N");
  create->add_flag("--allow", made->allow, "Such connections may be made");
  create->add_flag("--deny", made->deny, "Such connections are refused");
  create->add_flag("--reset-existing", made->reset_existing, "Also end those that exist");
  create->add_option("--from", made->from, "Who connects")->option_text(kSelectorHelp);
  create->add_option("--to", made->to, "Who is connected to")->option_text(kSelectorHelp);
  create->add_option("--ports", made->ports, "Ports of who is connected to")->delimiter(',')->option_text("80,1-1023");
  const auto [list, listed] = declare("list", "Show the policies in the order in which they are asked", ListPolicies);
  add_network(list, *listed);
  const auto [get, shown] = declare("get", "Show a policy", GetPolicy);
  get->add_option("name", shown->name, "Its name")->required();
  add_network(get, *shown);
  const auto [remove, removed] = declare("delete", "Take a policy away", DeletePolicy);
  remove->add_option("name", removed->name, "Its name")->required();
  add_network(remove, *removed);
  const auto [test, tested] =
      declare("test", "Say whether a connection might be made, and which policy decides", TestPolicy);
  test->add_option("from", tested->from, "Who connects: a VM, or host")->required();
  test->add_option("to", tested->target, "To whom: VM:PORT, or host:PORT")->required();
}

void DeclareCidCommands(CLI::App& app, Command& command) {
  CLI::App* cid = app.add_subcommand("cid", "CIDs that are not free");
  cid->require_subcommand(1)->fallthrough();
  const auto declare = [&](const char* name, const char* help, ExitCode (*run)(const CidFlags&, const Options&)) {
    CLI::App* one = cid->add_subcommand(name, help);
    auto flags = std::make_shared<CidFlags>();
    one->add_option("--net", flags->network, "The network, by default \"default\"")->option_text("NAME");
    Bind(one, flags, run, command);
    return std::pair(one, flags);
  };
  declare("list", "Show who has which CID, for whom one is kept, and which rest", ListCids);
  const auto [reserve, reserved] = declare("reserve", "Keep a CID for a VM that is to come", ReserveCid);
  reserve->add_option("cid", reserved->cid, "Which, one of a range, or auto")->option_text("CID|FIRST-LAST|auto");
  reserve->add_option("--for", reserved->holder, "For whom, as list shows it")->option_text("TEXT");
  reserve->add_option("--ttl", reserved->ttl, "For how long, by default an hour")->option_text("10m|24h");
  const auto [release, released] = declare("release", "Give a CID back that is kept", ReleaseCid);
  release->add_option("cid", released->cid, "Which")->required()->option_text("CID");
  release->add_flag("--force", released->force, "Also one that rests");
}

}  // namespace kinsock

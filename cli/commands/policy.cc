// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/network_name.h"
#include "cli/flags/number_range.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using Stub = v1::NetworkService::Stub;

// "default/closed", or the full name.
std::string FullPolicyName(const std::string& network, const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : absl::StrCat(FullNetworkName(network), "/policies/", name);
}

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
      policies, list, {"PRIORITY", "NAME", "ACTION", "FROM", "TO", "PORTS", "LOGS", "RESETS", "HITS"},
      [](const v1::Policy& policy) {
        return std::vector<std::string>{absl::StrCat(policy.priority()),   LastPart(policy.name()),
                                        policy.allow() ? "allow" : "deny", SelectorText(policy.from()),
                                        SelectorText(policy.to()),         PortsText(policy),
                                        policy.log() ? "yes" : "no",       policy.reset_existing() ? "yes" : "no",
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
  bool log = false;
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
  policy.set_log(flags.log);
  policy.set_reset_existing(flags.reset_existing);
  if (!ParseSelector(flags.from, "--from", *policy.mutable_from())) return kExitUsage;
  if (!ParseSelector(flags.to, "--to", *policy.mutable_to())) return kExitUsage;
  for (const std::string& text : flags.ports) {
    uint32_t first = 0, last = 0;
    if (!ParseRange(text, first, last)) {
      Fault("--ports", text, "a port or a range; write 80 or 1-1023");
      return kExitUsage;
    }
    v1::Policy::PortRange& range = *policy.add_ports();
    range.set_first(first);
    range.set_last(last);
  }
  return AskAndShow(&Client::networks, &Stub::CreatePolicy, request, ShowPolicies, options);
}

ExitCode GetPolicy(const PolicyFlags& flags, const Options& options) {
  v1::GetPolicyRequest request;
  request.set_name(FullPolicyName(flags.network, flags.name));
  return AskAndShow(&Client::networks, &Stub::GetPolicy, request, ShowPolicies, options);
}

ExitCode DeletePolicy(const PolicyFlags& flags, const Options& options) {
  v1::DeletePolicyRequest request;
  request.set_name(FullPolicyName(flags.network, flags.name));
  return AskQuietly(&Client::networks, &Stub::DeletePolicy, request, options);
}

// In the order in which they are asked.
ExitCode ListPolicies(const PolicyFlags& flags, const Options& options) {
  v1::ListPoliciesRequest request;
  request.set_parent(FullNetworkName(flags.network));
  Client client(options);
  std::vector<v1::Policy> all;
  const grpc::Status status =
      AskForAll(client, client.networks(), &Stub::ListPolicies, request, &v1::ListPoliciesResponse::policies, all);
  if (!status.ok()) return client.Report(status);
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
    Fault("policy test", flags.target, "of the form VM:PORT or host:PORT");
    return kExitUsage;
  }
  const auto end = [](const std::string& name) { return name == "host" ? name : FullVmName(name); };
  v1::TestPolicyRequest request;
  request.set_from(end(flags.from));
  request.set_to(end(flags.target.substr(0, colon)));
  request.set_port(port);
  Client client(options);
  v1::TestPolicyResponse answer;
  const grpc::Status status = Ask(client, client.networks(), &Stub::TestPolicy, request, answer);
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

constexpr char kSelectorHelp[] = "any|host|VM|KEY=VALUE|group:A+B|cid:FIRST-LAST, several with commas";

}  // namespace

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
  create->add_flag("--log", made->log, "An event for each connection that it allows");
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

}  // namespace kinsock

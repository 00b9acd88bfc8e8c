// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/flag_fault.h"
#include "cli/flags/name_and_port.h"
#include "cli/flags/network_name.h"
#include "cli/flags/selector_flag.h"
#include "cli/text/output.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using Stub = v1::NetworkService::Stub;

// "default/closed", or the full name.
std::string FullPolicyName(const std::string& network, const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : absl::StrCat(FullNetworkName(network), "/policies/", name);
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

// What Fault() says that a part of a selector is not.
constexpr char kSelector[] = "any, host, VM, KEY=VALUE, group:A+B or cid:FIRST-LAST";

struct PolicyFlags {
  std::string network = "default";
  std::string name;
  std::optional<int32_t> priority;
  bool allow = false;
  bool deny = false;
  bool log = false;
  bool no_log = false;
  bool reset_existing = false;
  bool keep_existing = false;
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::vector<std::string> ports;
  bool validate_only = false;
  std::string target;
};

// Puts what was said into `policy`, and which fields those are into `mask`. False: said what is wrong.
bool FillPolicy(const PolicyFlags& flags, v1::Policy& policy, google::protobuf::FieldMask& mask) {
  const auto take = [&mask](bool is_said, const char* field) {
    if (is_said) mask.add_paths(field);
    return is_said;
  };
  if (take(flags.priority.has_value(), "priority")) policy.set_priority(*flags.priority);
  if (take(flags.allow || flags.deny, "allow")) policy.set_allow(flags.allow);
  if (take(flags.log || flags.no_log, "log")) policy.set_log(flags.log);
  if (take(flags.reset_existing || flags.keep_existing, "reset_existing")) {
    policy.set_reset_existing(flags.reset_existing);
  }
  std::string wrong;
  if (take(flags.from.has_value(), "from")) wrong = ParseSelector(*flags.from, *policy.mutable_from());
  if (!wrong.empty()) return Fault("--from", wrong, kSelector);
  if (take(flags.to.has_value(), "to")) wrong = ParseSelector(*flags.to, *policy.mutable_to());
  if (!wrong.empty()) return Fault("--to", wrong, kSelector);
  if (take(!flags.ports.empty(), "ports")) wrong = ParsePorts(flags.ports, policy);
  return wrong.empty() || Fault("--ports", wrong, "a port or a range; write 80, 1-1023 or any");
}

ExitCode CreatePolicy(const PolicyFlags& flags, const Options& options) {
  if (!flags.allow && !flags.deny) {
    std::fprintf(stderr, "kinsockctl: policy create: say --allow or --deny\n");
    return kExitUsage;
  }
  v1::CreatePolicyRequest request;
  google::protobuf::FieldMask mask;
  if (!FillPolicy(flags, *request.mutable_policy(), mask)) return kExitUsage;
  request.set_parent(FullNetworkName(flags.network));
  request.set_policy_id(LastPart(flags.name));
  request.set_validate_only(flags.validate_only);
  return AskAndShow(&Client::networks, &Stub::CreatePolicy, request, ShowPolicies, options);
}

ExitCode SetPolicy(const PolicyFlags& flags, const Options& options) {
  v1::UpdatePolicyRequest request;
  if (!FillPolicy(flags, *request.mutable_policy(), *request.mutable_update_mask())) return kExitUsage;
  if (request.update_mask().paths().empty()) {
    std::fprintf(stderr,
                 "kinsockctl: policy set: say what to change: --allow, --deny, --priority, --from, --to, --ports, "
                 "--log, --reset-existing\n");
    return kExitUsage;
  }
  request.mutable_policy()->set_name(FullPolicyName(flags.network, flags.name));
  request.set_validate_only(flags.validate_only);
  return AskAndShow(&Client::networks, &Stub::UpdatePolicy, request, ShowPolicies, options);
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
  std::string to;
  uint32_t port = 0;
  if (!ParseNameAndPort(flags.target, to, port)) {
    Fault("policy test", flags.target, "of the form VM:PORT or host:PORT");
    return kExitUsage;
  }
  const auto end = [](const std::string& name) { return name == "host" ? name : FullVmName(name); };
  v1::TestPolicyRequest request;
  request.set_from(end(flags.from.value_or("")));
  request.set_to(end(to));
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

}  // namespace

void DeclarePolicyCommands(CLI::App& app, Command& command) {
  CLI::App* policy = app.add_subcommand("policy", "Who may connect to whom");
  policy->require_subcommand(1)->fallthrough();
  policy->footer(
      "Examples:\n  kinsockctl policy list --net lab\n  kinsockctl policy test web db:5432\n"
      "  kinsockctl policy set no-ssh --ports 22,2222");
  const auto declare = DeclareBelow<PolicyFlags>(policy, command);
  const auto add_rule = [&](CLI::App* one, PolicyFlags& flags) {
    one->add_option("name", flags.name, "Its name")->required();
    AddNetworkFlag(*one, flags.network);
    one->add_option("--priority", flags.priority, "Lower ones are asked first (0)")->option_text("N");
    CLI::Option* const allow = one->add_flag("--allow", flags.allow, "Such connections may be made");
    one->add_flag("--deny", flags.deny, "Such connections are refused")->excludes(allow);
    one->add_option("--from", flags.from, "Who connects (any)")->option_text(kSelectorForm);
    one->add_option("--to", flags.to, "Who is connected to (any)")->option_text(kSelectorForm);
    one->add_option("--ports", flags.ports, "Ports of who is connected to (any)")
        ->delimiter(',')
        ->option_text("80,1-1023|any");
    CLI::Option* const log = one->add_flag("--log", flags.log, "An event for each connection that it allows");
    CLI::Option* const reset = one->add_flag("--reset-existing", flags.reset_existing, "Also end those that exist");
    one->add_flag("--validate-only", flags.validate_only, "Check everything, change nothing");
    return std::pair(log, reset);
  };
  const auto [create, made] = declare("create", "Make a policy", CreatePolicy);
  add_rule(create, *made);
  create->footer(
      "Examples:\n  kinsockctl policy create no-ssh --deny --from tier=web --to any --ports 22\n"
      "  kinsockctl policy create db --allow --from tier=web --to group:db --ports 5432 --priority 10");
  const auto [set, changed] = declare("set", "Change a policy; what is not said stays as it is", SetPolicy);
  const auto [log, reset] = add_rule(set, *changed);
  set->add_flag("--no-log", changed->no_log, "No such events")->excludes(log);
  set->add_flag("--keep-existing", changed->keep_existing, "Connections that exist stay")->excludes(reset);
  set->footer("Examples:\n  kinsockctl policy set no-ssh --ports 22,2222 --log\n  kinsockctl policy set db --to any");
  const auto [list, listed] = declare("list", "Show the policies in the order in which they are asked", ListPolicies);
  AddNetworkFlag(*list, listed->network);
  const auto [get, shown] = declare("get", "Show a policy", GetPolicy);
  get->add_option("name", shown->name, "Its name")->required();
  AddNetworkFlag(*get, shown->network);
  const auto [remove, removed] = declare("delete", "Take a policy away", DeletePolicy);
  remove->add_option("name", removed->name, "Its name")->required();
  AddNetworkFlag(*remove, removed->network);
  const auto [test, tested] =
      declare("test", "Say whether a connection might be made, and which policy decides", TestPolicy);
  test->add_option("from", tested->from, "Who connects: a VM, or host")->required();
  test->add_option("to", tested->target, "To whom: VM:PORT, or host:PORT")->required();
  test->footer("Exit code 5: it is denied.\nExample:\n  kinsockctl policy test web db:5432");
}

}  // namespace kinsock

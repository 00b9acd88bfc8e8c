// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "cli/call/client.h"
#include "cli/call/same_daemon.h"
#include "cli/commands/commands.h"
#include "cli/explain/explain.h"
#include "cli/explain/explain_facts.h"
#include "cli/flags/name_and_port.h"
#include "cli/text/output.h"

namespace kinsock {
namespace {

constexpr char kHost[] = "host";
constexpr char kHostCid[] = "2";

struct ExplainFlags {
  std::string from;
  std::string to;
};

// "VM:PORT", "CID:PORT" or "host:PORT".
bool ParseTarget(const std::string& text, ExplainFacts& facts) {
  if (!ParseNameAndPort(text, facts.target.said, facts.port) || facts.target.said.empty()) return false;
  if (facts.target.said == kHostCid) facts.target.said = kHost;
  facts.target.host = facts.target.said == kHost;
  return facts.port < std::numeric_limits<uint32_t>::max();
}

ExitCode ExplainCommand(const ExplainFlags& flags, const Options& options) {
  ExplainFacts facts;
  facts.source.said = flags.from;
  facts.source.host = flags.from == kHost || flags.from == kHostCid;
  if (!ParseTarget(flags.to, facts)) {
    std::fprintf(stderr, "kinsockctl: explain: \"%s\" is not of the form VM:PORT, CID:PORT or host:PORT\n",
                 flags.to.c_str());
    return kExitUsage;
  }
  uint32_t cid = 0;
  const bool by_cid = absl::SimpleAtoi(facts.target.said, &cid);
  if (facts.source.host && (facts.target.host || by_cid)) {
    std::fprintf(stderr, "kinsockctl: explain: the host does not reach %s by way of kinsock; name a VM\n",
                 facts.target.host ? "itself" : "CIDs");
    return kExitUsage;
  }
  Client client(options);
  if (const ExitCode code = FindFacts(client, facts); code != kExitOk) return code;
  FindHostFacts(options, facts);
  ctl::Explanation explanation = Explain(facts);
  for (ctl::Explanation::Command& next : *explanation.mutable_next()) {
    if (next.vm().empty()) next.set_line(SameDaemon(next.line()));
  }
  Print(ShowsMessage(options.format) ? Render(explanation, options.format)
                                     : ExplanationText(explanation, options.colour));
  return static_cast<ExitCode>(explanation.exit_code());
}

}  // namespace

void DeclareExplain(CLI::App& app, Command& command) {
  CLI::App* explain = app.add_subcommand(
      "explain", "Say why one end cannot connect to another, and what to do; ends with the exit code for it");
  auto flags = std::make_shared<ExplainFlags>();
  explain->add_option("from", flags->from, "Who connects: a VM, or host")->required();
  explain->add_option("to", flags->to, "To whom: VM:PORT, CID:PORT, or host:PORT")->required();
  explain->footer(
      "Examples:\n  kinsockctl explain web db:5432     # a guest to a guest; db may be a CID\n"
      "  kinsockctl explain host web:5000   # a program of the host to a guest\n"
      "  kinsockctl explain web host:9000   # a guest to the host");
  explain->callback(
      [flags, &command] { command = [flags](const Options& options) { return ExplainCommand(*flags, options); }; });
}

}  // namespace kinsock

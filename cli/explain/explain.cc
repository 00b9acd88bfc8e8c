// SPDX-License-Identifier: Apache-2.0
#include "cli/explain/explain.h"

#include "absl/strings/str_cat.h"
#include "cli/explain/explain_steps.h"
#include "cli/text/table.h"
#include "cli/text/text_width.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// What `spec.network` means when it says nothing.
constexpr char kDefaultNetwork[] = "networks/default";

std::string FullName(const ExplainFacts::End& end) { return end.vm.has_value() ? end.vm->name() : end.said; }

std::string MarkOf(Step::Verdict verdict, bool colour) {
  const auto mark = [colour](const char* text, Tint tint) { return colour ? Tinted(text, tint) : std::string(text); };
  switch (verdict) {
    case Step::GOOD:
      return mark("[+]", Tint::kGood);
    case Step::BAD:
      return mark("[-]", Tint::kBad);
    default:
      return mark("[?]", Tint::kNotice);
  }
}

}  // namespace

std::string NetworkOf(const v1::Vm& vm) { return vm.spec().network().empty() ? kDefaultNetwork : vm.spec().network(); }

std::string ExplainFacts::End::Name() const { return vm.has_value() ? ShortVmName(vm->name()) : said; }

ctl::Explanation Explain(const ExplainFacts& facts) {
  ctl::Explanation explanation;
  explanation.set_from(FullName(facts.source));
  explanation.set_to(FullName(facts.target));
  explanation.set_port(facts.port);
  ExplainSteps steps(explanation);
  if (ExplainWay(facts, steps)) ExplainAttempt(facts, steps);
  return explanation;
}

std::string ExplanationText(const ctl::Explanation& explanation, bool colour) {
  std::string text;
  for (const Step& step : explanation.steps()) {
    absl::StrAppend(&text, MarkOf(step.verdict(), colour), " ", CleanText(step.text()), "\n");
  }
  if (explanation.cause().empty()) text += "nothing that the daemon knows stands in the way\n";
  for (const ctl::Explanation::Command& next : explanation.next()) {
    absl::StrAppend(&text, next.vm().empty() ? "  try: " : absl::StrCat("  try, in ", ShortVmName(next.vm()), ": "),
                    CleanText(next.line()), "\n");
  }
  return text;
}

}  // namespace kinsock

// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_filter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "server/model/vm_spec.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

bool IsState(std::string_view text) {
  return std::any_of(kVmStates.begin(), kVmStates.end(), [&](VmState state) { return text == VmStateName(state); });
}

bool IsConditionType(const std::string& text) {
  return std::find(kConditionTypes.begin(), kConditionTypes.end(), text) != kConditionTypes.end();
}

const char* StatusName(const Condition& condition) {
  if (!condition.known) return "UNKNOWN";
  return condition.holds ? "TRUE" : "FALSE";
}

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '/';
}

}  // namespace

// One pass over the text, without recursion. The first fault ends it.
class VmFilterParser {
 public:
  using Term = VmFilter::Term;
  using Field = VmFilter::Field;
  using Operator = VmFilter::Operator;

  explicit VmFilterParser(std::string_view text) : text_(text) {}

  bool Run(std::vector<Term>& terms);
  const std::string& fault() const { return fault_; }

 private:
  bool Fail(size_t at, std::string what) {
    fault_ = absl::StrCat("at byte ", at + 1, ": ", what);
    return false;
  }
  void SkipSpace() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool AtEnd() {
    SkipSpace();
    return at_ == text_.size();
  }
  std::string_view Word() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsWordCharacter(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool ReadField(Term& term);
  bool ReadOperator(Term& term);
  bool ReadValue(Term& term, bool& quoted);
  bool ReadQuoted(std::string& value);
  bool Check(Term& term, size_t begin, bool quoted);

  const std::string_view text_;
  size_t at_ = 0;
  std::string fault_;
};

bool VmFilterParser::Run(std::vector<Term>& terms) {
  while (!AtEnd()) {
    if (!terms.empty()) {
      const size_t begin = at_;
      if (Word() != "AND") return Fail(begin, "expected AND, or the end");
      SkipSpace();
    }
    if (terms.size() == VmFilter::kMaxTerms) {
      return Fail(at_, absl::StrCat("more than ", VmFilter::kMaxTerms, " terms"));
    }
    Term term;
    const size_t begin = at_;
    bool quoted = false;
    if (!ReadField(term) || !ReadOperator(term) || !ReadValue(term, quoted) || !Check(term, begin, quoted))
      return false;
    terms.push_back(std::move(term));
  }
  return true;
}

bool VmFilterParser::ReadField(Term& term) {
  const size_t begin = at_;
  const std::string_view field = Word();
  constexpr std::string_view kLabelPrefix = "labels.";
  constexpr std::string_view kConditionPrefix = "condition.";
  if (field == "name") {
    term.field = Field::kName;
  } else if (field == "state") {
    term.field = Field::kState;
  } else if (field == "cid") {
    term.field = Field::kCid;
  } else if (field == "groups") {
    term.field = Field::kGroups;
  } else if (field == "labels") {
    term.field = Field::kLabelKeys;
  } else if (field.size() > kLabelPrefix.size() && field.substr(0, kLabelPrefix.size()) == kLabelPrefix) {
    term.field = Field::kLabel;
    term.key = std::string(field.substr(kLabelPrefix.size()));
  } else if (field.substr(0, kConditionPrefix.size()) == kConditionPrefix) {
    term.field = Field::kCondition;
    term.key = std::string(field.substr(kConditionPrefix.size()));
    if (!IsConditionType(term.key)) {
      return Fail(
          begin, absl::StrCat(Quoted(term.key), " is no condition; use one of ", absl::StrJoin(kConditionTypes, ", ")));
    }
  } else {
    return Fail(begin,
                absl::StrCat(Quoted(field),
                             " is no field; use name, state, cid, groups, labels, labels.KEY or condition.TYPE"));
  }
  return true;
}

bool VmFilterParser::ReadOperator(Term& term) {
  SkipSpace();
  const std::string_view rest = text_.substr(at_);
  if (rest.substr(0, 2) == "!=") {
    term.op = Operator::kDiffers;
    at_ += 2;
  } else if (rest.substr(0, 1) == "=") {
    term.op = Operator::kEquals;
    ++at_;
  } else if (rest.substr(0, 1) == ":") {
    term.op = Operator::kHas;
    ++at_;
  } else {
    return Fail(at_, "expected =, != or :");
  }
  SkipSpace();
  return true;
}

bool VmFilterParser::ReadValue(Term& term, bool& quoted) {
  quoted = at_ < text_.size() && text_[at_] == '"';
  if (quoted) return ReadQuoted(term.value);
  if (at_ < text_.size() && text_[at_] == '*') {
    ++at_;
    term.value = "*";
    return true;
  }
  const size_t begin = at_;
  term.value = std::string(Word());
  return !term.value.empty() || Fail(begin, "expected a value: a word, or any text in double quotes");
}

bool VmFilterParser::ReadQuoted(std::string& value) {
  const size_t begin = at_++;
  while (at_ < text_.size() && text_[at_] != '"') {
    if (text_[at_] == '\\') {
      ++at_;
      if (at_ == text_.size() || (text_[at_] != '"' && text_[at_] != '\\')) {
        return Fail(at_ - 1, "a backslash stands before \" or another backslash only");
      }
    }
    value += text_[at_++];
  }
  if (at_ == text_.size()) return Fail(begin, "the text has no closing quote");
  ++at_;
  return true;
}

// What the field can be asked.
bool VmFilterParser::Check(Term& term, size_t begin, bool quoted) {
  const bool star = term.value == "*" && !quoted;
  switch (term.field) {
    case Field::kName:
    case Field::kState:
    case Field::kCid:
    case Field::kCondition:
      if (term.op == Operator::kHas) return Fail(begin, "this field has one value; compare it with = or !=");
      break;
    case Field::kGroups:
    case Field::kLabelKeys:
      if (term.op != Operator::kHas) return Fail(begin, "this field has many values; ask for one with \":\"");
      break;
    case Field::kLabel:
      term.any = star && term.op == Operator::kHas;
      if (term.any) return true;
      break;
  }
  if (star) return Fail(begin, "\"*\" stands behind labels.KEY: only; put it in quotes if it is meant as it is");
  if (term.field == Field::kState && !IsState(term.value)) {
    return Fail(begin, absl::StrCat(Quoted(term.value), " is no state of a VM"));
  }
  if (term.field == Field::kCondition && term.value != "TRUE" && term.value != "FALSE" && term.value != "UNKNOWN") {
    return Fail(begin, absl::StrCat(Quoted(term.value), " is neither TRUE, FALSE nor UNKNOWN"));
  }
  if (term.field == Field::kCid && !absl::SimpleAtoi(term.value, &term.cid)) {
    return Fail(begin, absl::StrCat(Quoted(term.value), " is no CID"));
  }
  return true;
}

absl::StatusOr<VmFilter> VmFilter::Parse(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return FieldsInvalid("",
                         {{"filter", absl::StrCat("has ", text.size(), " bytes, at most ", kMaxBytes, " are read")}});
  }
  VmFilter filter;
  VmFilterParser parser(text);
  if (!parser.Run(filter.terms_)) return FieldsInvalid("", {{"filter", parser.fault()}});
  return filter;
}

bool VmFilter::Matches(const VmSnapshot& vm) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) { return Holds(term, vm); });
}

bool VmFilter::Holds(const Term& term, const VmSnapshot& vm) {
  const VmDefinition& definition = *vm.definition;
  const bool equals = term.op != Operator::kDiffers;
  switch (term.field) {
    case Field::kName:
      return (definition.name() == term.value) == equals;
    case Field::kState:
      return (VmStateName(vm.status.state) == term.value) == equals;
    case Field::kCid:
      return (vm.status.cid == term.cid) == equals;
    case Field::kGroups: {
      const std::vector<std::string> groups = EffectiveGroups(definition.spec);
      return std::binary_search(groups.begin(), groups.end(), term.value);
    }
    case Field::kLabelKeys:
      return definition.labels.count(term.value) > 0;
    case Field::kLabel: {
      const auto label = definition.labels.find(term.key);
      if (label == definition.labels.end()) return !equals;
      return term.any || (label->second == term.value) == equals;
    }
    case Field::kCondition: {
      const auto& all = vm.status.conditions;
      const auto found =
          std::find_if(all.begin(), all.end(), [&](const Condition& each) { return each.type == term.key; });
      return ((found == all.end() ? "UNKNOWN" : StatusName(*found)) == term.value) == equals;
    }
  }
  return false;
}

}  // namespace kinsock

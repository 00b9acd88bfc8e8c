// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/options.h"

#include <getopt.h>

#include <charconv>
#include <limits>
#include <string_view>

#include "tests/e2e/guest/report.h"

namespace kinsock::guest {
namespace {

uint64_t Number(std::string_view text, uint64_t most) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  const int shift = unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : 0;
  const uint64_t result = value << shift;
  const bool unit_known = unit.empty() || shift != 0;
  if (error != std::errc() || !unit_known || result >> shift != value || result > most) {
    Fail("usage", {{"bad-number", std::string(text)}});
  }
  return result;
}

uint32_t Number32(std::string_view text) {
  return static_cast<uint32_t>(Number(text, std::numeric_limits<uint32_t>::max()));
}

Address ParseAddress(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) Fail("usage", {{"not-cid-colon-port", std::string(text)}});
  return {Number32(text.substr(0, colon)), Number32(text.substr(colon + 1))};
}

void Take(int option, std::string_view value, Options& options) {
  switch (option) {
    case 'l':
      options.listen_port = Number32(value);
      break;
    case 'c':
      options.connect_to = ParseAddress(value);
      break;
    case 's':
      options.seed = Number32(value);
      break;
    case 'b':
      options.bytes = Number(value, std::numeric_limits<int64_t>::max());
      break;
    case 'n':
      options.count = Number32(value);
      break;
    case 'h':
      options.sha256 = true;
      break;
    case 'm':
      options.seqpacket = true;
      break;
    case 'p':
      options.path = value;
      break;
    default:
      Fail("usage", {{"option", "unknown"}});
  }
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  static constexpr option kOptions[] = {{"listen", required_argument, nullptr, 'l'},
                                        {"connect", required_argument, nullptr, 'c'},
                                        {"seed", required_argument, nullptr, 's'},
                                        {"bytes", required_argument, nullptr, 'b'},
                                        {"count", required_argument, nullptr, 'n'},
                                        {"sha256", no_argument, nullptr, 'h'},
                                        {"seqpacket", no_argument, nullptr, 'm'},
                                        {"path", required_argument, nullptr, 'p'},
                                        {nullptr, 0, nullptr, 0}};
  Options options;
  for (int next; (next = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    Take(next, optarg == nullptr ? "" : optarg, options);
  }
  if (optind != argc) Fail("usage", {{"unexpected", argv[optind]}});
  return options;
}

}  // namespace kinsock::guest

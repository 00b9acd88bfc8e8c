// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CAPTURE_TSHARK_H_
#define KINSOCK_TESTS_CAPTURE_TSHARK_H_

#include <string>
#include <string_view>
#include <vector>

namespace kinsock::testing {

// What tshark, which has nothing of ours, says of a capture file: a line for each packet, with the values of `fields`
// behind bars. Its complaints are lines that begin with "tshark: ". `directory`: where the file may lie meanwhile.
std::vector<std::string> Tshark(std::string_view file, const std::vector<std::string>& fields,
                                const std::string& directory);

// Likewise capinfos, which is of the same makers: what it says of the file as a whole.
std::string Capinfos(std::string_view file, const std::string& directory);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CAPTURE_TSHARK_H_

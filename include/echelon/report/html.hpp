#pragma once

#include <string>
#include <string_view>

#include <echelon/report/study_view.hpp>

namespace echelon::report {

/// One HTML file that needs nothing else and asks no one for anything: charts, tables and the data themselves.
/// `markdown` and `latex`: the table for a proposal, to be copied from the page; empty: the page has none.
[[nodiscard]] std::string study_html(const StudyView& view, std::string_view markdown = {},
                                     std::string_view latex = {});

}  // namespace echelon::report

#pragma once
namespace echelon::map { struct OutputFile {}; }

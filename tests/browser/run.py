#!/usr/bin/env python3
"""Opens pages of studies from files in Chromium and looks at them as a reader would.

usage: run.py MAKE_PAGES [--keep FOLDER]      with screenshots and PDFs left in FOLDER
"""
import os
import shutil
import subprocess
import sys
import tempfile

from devtools import Browser, Page

failures = []


def check(holds, what):
    if not holds:
        failures.append(what)
        print("FAILED: " + what)


def close_to(a, b):
    return a is not None and b is not None and abs(a - b) <= 1e-9 * max(abs(a), abs(b))


class Suite:
    def __init__(self, browser, folder, keep):
        self.browser, self.folder, self.keep = browser, folder, keep

    def open(self, name, **how):
        page = Page(self.browser, "file://%s/%s.html" % (self.folder, name), **how)
        print("%s: %.0f KiB, opened in %.2f s" % (name, os.path.getsize("%s/%s.html" % (self.folder, name)) / 1024,
                                                  page.opened_s))
        # Far above what it takes (about a second): a hang, not a measurement.
        check(page.opened_s < 10, "%s opens within 10 s" % name)
        return page

    def end(self, page, name):
        for problem in page.problems():
            check(False, "%s: %s" % (name, problem))
        page.close()

    def save(self, name, make):
        if self.keep:
            with open(os.path.join(self.keep, name), "wb") as file:
                file.write(make())

    # What holds for every page at every width.
    def sound(self, page, name):
        width = page.run("innerWidth")
        check(page.run("document.documentElement.scrollWidth") <= width, "%s does not overflow at %d" % (name, width))
        blank = page.run("""[...document.querySelectorAll('canvas')].filter(canvas => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
            copy.drawImage(canvas, 0, 0);
            const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
            const colors = new Set();
            for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) colors.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
            return colors.size < 5;
        }).map(canvas => canvas.id)""")
        check(blank == [], "%s: no chart is blank: %s" % (name, blank))
        check(page.run("!/−0(\\.0+)?(?![\\d.])/.test(document.body.innerText)"), "%s: no zero has a minus" % name)
        check(page.run("""[...document.querySelectorAll('canvas')].every(c => c.getAttribute('role') === 'img'
            && c.getAttribute('aria-label').length > 20 && c.closest('figure').querySelector('details'))"""),
              "%s: every chart has a label and its table" % name)

    def typical(self):
        page = self.open("typical")
        self.sound(page, "typical")
        ids = page.run("[...document.querySelectorAll('canvas')].map(c => c.id)")
        expected = ["time", "speedup", "efficiency", "serial", "pop", "shares"] + ["ranks-%d" % i for i in range(7)] + ["beside-0", "runs"]
        check(ids == expected, "all charts are there: %s" % ids)
        self.under_the_pointer(page)
        self.values(page)
        self.legend(page)
        # Every table opens, is one that a screen reader announces, and has rows.
        tables = page.run("""(() => { document.querySelectorAll('details').forEach(d => d.open = true);
            return new Promise(done => setTimeout(() => done([...document.querySelectorAll('details')].map(d =>
              d.querySelectorAll('table caption').length > 0 && d.querySelectorAll('thead th[scope=col]').length > 1
              && d.querySelectorAll('tbody th[scope=row]').length > 0)), 200)); })()""")
        check(len(tables) == len(expected) and all(tables), "every chart's table has caption, heads and rows: %s" % tables)
        rows = "[...document.querySelectorAll('#ranks-6')[0].closest('figure').querySelectorAll('table')].map(t => t.querySelectorAll('tbody tr').length)"
        check(page.run(rows) == [4, 64], "64 ranks are on 4 nodes: %s" % page.run(rows))
        nodes = page.run("[...document.querySelectorAll('#ranks-6')[0].closest('figure').querySelector('table').querySelectorAll('tbody tr')].map(r => r.cells[0].textContent + ' ' + r.cells[1].textContent)")
        check(nodes == ["node%d 16" % i for i in (1, 2, 3, 4)], "each with its ranks: %s" % nodes)
        page.run("document.querySelectorAll('details').forEach(d => d.open = false)")
        text = page.run("document.body.innerText")
        for words in ("oversubscription: 64 ranks", "echelon study --ranks 1,2,4", "no route to host", "AMD EPYC", "tabular",
                      "universal scalability", "Two runs were repeated"):
            check(words in text, "the page says '%s'" % words)
        self.colours(page)
        self.download(page)
        self.end(page, "typical")

    # The pointer is put on a point; the tooltip must have the figures of the data that the page embeds.
    def under_the_pointer(self, page):
        place = page.run("""(() => { const c = Chart.getChart('time'); c.canvas.scrollIntoView({block: 'center', behavior: 'instant'});
            const e = c.getDatasetMeta(0).data[3], box = c.canvas.getBoundingClientRect(); return [box.x + e.x, box.y + e.y]; })()""")
        page.move_to(place[0] - 90, place[1] - 60)
        page.move_to(*place)
        page.wait("Chart.getChart('time').tooltip?.dataPoints?.length > 0", timeout=10)
        shown = page.run("""(() => { const t = Chart.getChart('time').tooltip; const d = JSON.parse(document.getElementById('data').textContent);
            const first = t.dataPoints.find(p => p.datasetIndex === 0);
            return {y: first?.parsed.y, x: first?.parsed.x, expected: d.rows[3].time_s.value, title: t.title[0], body: t.body.map(b => b.lines[0])}; })()""")
        check(close_to(shown.get("y"), shown["expected"]) and shown.get("x") == 8, "under the pointer is the record's time: %s" % shown)
        check(shown["title"] == "8 ranks" and any("median: %.2f\u00a0s [" % shown["expected"] in line for line in shown["body"]),
              "the tooltip says so: %s" % shown)
        self.save("tooltip.png", lambda: page.screenshot(whole=False))
        page.move_to(2, 2)

    # What the charts draw is what the page's data say.
    def values(self, page):
        wrong = page.run("""(() => { const d = JSON.parse(document.getElementById('data').textContent), wrong = [];
            const same = (id, at, f) => Chart.getChart(id).data.datasets[at].data.forEach((p, i) => { if (p.y !== f(d.rows[i])) wrong.push([id, i, p.y]); });
            same('time', 0, r => r.time_s.value);
            same('speedup', 0, r => r.scaling.speedup.value);
            same('efficiency', 0, r => r.scaling.efficiency.value);
            same('pop', 0, r => r.pop.load_balance.value);
            ['study', 'other'].forEach((side, k) => {
              const drawn = Chart.getChart('beside-0').data.datasets[k].data.map(p => p.y), of = d.beside[0].rows.filter(r => r[side]);
              if (!of.length || drawn.length !== of.length || drawn.some((y, i) => y !== of[i][side].speedup)) wrong.push(['beside', side]);
            });
            if (Chart.getChart('time').data.datasets[1].data.length !== d.points.reduce((n, p) => n + p.runs.length, 0)) wrong.push('repetitions');
            d.rows.forEach((row, at) => ['startup_s', 'compute_s', 'communicate_s', 'wait_s'].forEach((phase, k) => {
              const drawn = Chart.getChart('ranks-' + at).data.datasets[k].data, ranks = d.records[row.point].ranks;
              if (drawn.length !== row.ranks || drawn.some((v, i) => v !== ranks[phase][i])) wrong.push([row.label, phase]);
            }));
            return wrong; })()""")
        check(wrong == [], "the charts draw the data: %s" % wrong)

    # By the keyboard alone: from one entry to the next, and off and on.
    def legend(self, page):
        buttons = "document.querySelector('#time').closest('figure').querySelectorAll('.legend button')"
        names = page.run("[...%s].map(b => b.textContent)" % buttons)
        check(names[:3] == ["median", "each repetition", "ideal"] and len(names) == 7, "the legend has what is drawn: %s" % names)
        state = """(() => { const b = %s[2], c = Chart.getChart('time');
            return [document.activeElement === b, b.getAttribute('aria-pressed'), c.isDatasetVisible(2)]; })()""" % buttons
        page.run(buttons + "[1].focus()")
        page.press("Tab", 9)
        check(page.run(state) == [True, "true", True], "Tab goes to the next entry: %s" % page.run(state))
        page.press(" ", 32)
        check(page.run(state) == [True, "false", False], "the space bar hides it: %s" % page.run(state))
        page.run("document.getElementById('theme').click()")
        check(page.run(state)[1:] == ["false", False], "other colours leave it hidden")
        page.run("document.getElementById('theme').click(); %s[2].click()" % buttons)
        check(page.run(state)[1:] == ["true", True], "and once more shows it")
        check(page.run("""[...document.querySelectorAll('.legend')].every(l => l.getAttribute('role') === 'group'
            && l.getAttribute('aria-label').length > 20)"""), "every legend has a name")

    # Points that models leave out, and a coefficient at its bound.
    def beyond(self):
        page = self.open("beyond")
        self.sound(page, "beyond")
        text = page.run("document.body.innerText")
        for words in ("s\u00a0=\u00a00 (at its bound)", "model, at its bound", "times would have it beyond what the model allows"):
            check(words in text, "beyond says '%s'" % words)
        dashed = page.run("""(() => { const set = Chart.getChart('time').data.datasets.find(s => s.label.startsWith('Amdahl'));
            return set.data.slice(0, -1).filter(d => set.segment.borderDash({p0: {parsed: d}})).map(d => d.x); })()""")
        check(dashed and min(dashed) == 12, "curves are dashed from the last fitted point on: %s" % dashed[:3])
        check(page.run("Chart.getChart('time').data.datasets.find(s => s.label.startsWith('Amdahl')).data.at(-1).x") == 24,
              "and end at the limit")
        self.save("beyond.png", page.screenshot)
        self.end(page, "beyond")

    def colours(self, page):
        self.save("typical-light.png", page.screenshot)
        light = page.screenshot(whole=False)
        background = "getComputedStyle(document.body).backgroundColor"
        before = page.run(background)
        page.run("document.getElementById('theme').click()")
        self.save("typical-dark.png", page.screenshot)
        dark = page.screenshot(whole=False)
        check(page.run(background) != before and light != dark, "the button makes it dark")
        self.sound(page, "typical, dark")
        page.run("document.getElementById('theme').click()")
        page.prefer(True)
        page.run("new Promise(requestAnimationFrame)")
        check(page.run(background) == before, "a choice by the button outlasts the system's")
        for width in (360, 768):
            page.resize(width)
            page.run("new Promise(done => setTimeout(done, 200))")
            self.sound(page, "typical at %d" % width)
            self.save("typical-%d.png" % width, page.screenshot)
        page.resize(1400)
        page.call("Emulation.setEmulatedMedia", media="print")
        kept = page.run("""[getComputedStyle(document.querySelector('footer')).breakBefore, getComputedStyle(document.querySelector('#phases-title').parentElement).breakInside,
            getComputedStyle(document.querySelector('.legend button')).display, getComputedStyle(document.querySelector('#theme')).display]""")
        check(kept == ["avoid", "avoid", "flex", "none"], "on paper what belongs together stays so, and legends are there: %s" % kept)
        page.call("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": "light"}])
        pdf = page.pdf()
        self.save("typical.pdf", lambda: pdf)
        check(pdf.startswith(b"%PDF") and len(pdf) > 30000, "it prints: %d bytes" % len(pdf))
        check(page.run(background) == before, "after printing it is as it was")

    def download(self, page):
        same = page.run("""(async () => { let blob; const make = URL.createObjectURL; URL.createObjectURL = b => { blob = b; return '#'; };
            HTMLAnchorElement.prototype.click = function () {}; document.getElementById('download').click(); URL.createObjectURL = make;
            return await blob.text() === document.getElementById('data').textContent; })()""")
        check(same, "the download is the data")

    def system_dark(self):
        page = self.open("typical", dark=True)
        check(page.run("document.documentElement.dataset.theme") == "dark", "it is dark where the system is")
        self.end(page, "typical, dark")

    def hostile(self):
        for width in (360, 1400):
            page = self.open("hostile", width=width)
            page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.run("new Promise(done => setTimeout(done, 200))")
            self.sound(page, "hostile")
            check(page.run("window.attacked === undefined && document.images.length === 0 && document.scripts.length === 3"),
                  "nothing of a text is executed")
            for place in ("h1", "title", ".lead", "#warnings li", "#notes li", "#command pre", "#failures td.long",
                          "#environment tbody"):
                check("window.attacked=1" in page.run("document.querySelector('%s').textContent" % place),
                      "the text is shown as it is in " + place)
            page.run("(() => { const s = document.getElementById('order-by'); s.value = 'host'; s.dispatchEvent(new Event('change')); })()")
            self.sound(page, "hostile, by host")
            self.save("hostile-%d.png" % width, page.screenshot)
            self.end(page, "hostile")

    def large(self):
        for name in ("large", "thousand"):
            page = self.open(name)
            check(os.path.getsize("%s/%s.html" % (self.folder, name)) < 5 << 20, name + " is below 5 MiB")
            self.sound(page, name)
            check(page.run("Chart.getChart('ranks-9').data.labels.length") == 64, "1,024 ranks are 64 bars")
            sums = page.run("""(() => { const d = JSON.parse(document.getElementById('data').textContent);
                const sum = (a) => a.reduce((x, y) => x + y, 0);
                return [sum(Chart.getChart('ranks-9').data.datasets[1].data) * 16, sum(d.records[d.rows[9].point].ranks.compute_s)]; })()""")
            check(abs(sums[0] - sums[1]) < 1e-6 * sums[1], "these have all of the ranks' time: %s" % sums)
            self.save(name + ".png", page.screenshot)
            self.end(page, name)

    def others(self):
        says = {"bare": ["No record of ranks", "No factors", "No point has the 6 repetitions", "No record says on what"],
                "empty": ["no points", "No run succeeded", "No model could be fitted"],
                "failed": ["No run succeeded", "exit status 1"], "weak": ["Scaled speedup", "Gustafson"],
                "threads": ["ranks x 4 threads"],
                "hybrid": ["8 ranks x 2 threads"], "steps": ["8 ranks x 2 threads"]}
        for name, words in says.items():
            page = self.open(name)
            text = page.run("document.body.innerText")
            for word in words:
                check(word in text, "%s says '%s'" % (name, word))
            if name in ("hybrid", "steps"):
                labels = page.run("Chart.getChart('time').data.datasets.map(s => s.label)")
                check(labels[:2] == ["median, 1 thread a rank", "median, 2 threads a rank"], "a series a number of threads: %s" % labels)
            if name == "steps":
                cut = page.run("""['time', 'speedup', 'efficiency', 'pop'].filter(id => { const c = Chart.getChart(id), {min, max} = c.scales.y;
                    return c.data.datasets.some(s => s.intervals?.some(i => i && (i.lower < min || i.upper > max))); })""")
                check(cut == [], "axes have the ends of intervals: %s" % cut)
            for width in (1400, 360):
                page.resize(width)
                page.run("new Promise(done => setTimeout(done, 100))")
                self.sound(page, "%s at %d" % (name, width))
                self.save("%s-%d.png" % (name, width), page.screenshot)
            self.end(page, name)


def main():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI") == "true":
            sys.exit("chromium is missing, and CI is to run this")
        print("[  SKIPPED ] chromium is not installed")
        return
    keep = sys.argv[3] if len(sys.argv) == 4 and sys.argv[2] == "--keep" else None
    if keep:
        os.makedirs(keep, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True, timeout=60)
        browser = Browser(program)
        try:
            suite = Suite(browser, folder, keep)
            for part in (suite.typical, suite.system_dark, suite.beyond, suite.hostile, suite.large, suite.others):
                part()
        finally:
            browser.close()
    sys.exit("%d failed" % len(failures) if failures else None)


if __name__ == "__main__":
    main()

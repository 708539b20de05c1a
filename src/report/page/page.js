// The cursor that all charts of a run share. It has no data of its own: it reads the table of each figure.
(function () {
  'use strict';
  var figures = [];
  document.querySelectorAll('figure[data-run]').forEach(function (figure) {
    var table = figure.querySelector('table.series');
    if (!table) return;
    var cells = function (row) { return [].map.call(row.cells, function (cell) { return cell.textContent; }); };
    var own = { run: figure.dataset.run, heads: cells(table.tHead.rows[0]), at: -1, lines: [] };
    own.rows = [].map.call(table.tBodies[0].rows, function (row) { return { t: +row.dataset.t, cells: cells(row) }; });
    own.read = document.createElement('output');
    own.read.className = 'read';
    figure.querySelector('figcaption').after(own.read);
    figure.querySelectorAll('svg[data-x]').forEach(function (svg) {
      var x = svg.dataset.x.split(' ').map(Number), y = svg.dataset.y.split(' ');
      var line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      line.setAttribute('class', 'cur');
      svg.appendChild(line);
      own.lines.push(function (t) {
        var at = x[0] + (t - x[2]) / (x[3] - x[2]) * (x[1] - x[0]);
        line.setAttribute('d', t === null ? '' : 'M' + at.toFixed(1) + ' ' + y[0] + 'V' + y[1]);
      });
      svg.setAttribute('tabindex', '0');
      svg.addEventListener('pointermove', function (event) {
        var box = svg.getBoundingClientRect();
        var at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
        show(own.run, x[2] + (at - x[0]) / (x[1] - x[0]) * (x[3] - x[2]));
      });
      svg.addEventListener('pointerleave', function () { show(own.run, null); });
      svg.addEventListener('keydown', function (event) {
        var step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
        if (!step) return;
        event.preventDefault();
        var to = Math.max(0, Math.min(own.rows.length - 1, own.at + step));
        if (own.rows[to]) show(own.run, own.rows[to].t);
      });
    });
    figures.push(own);
    hint(own);
  });
  function hint(own) {
    own.at = -1;
    own.read.textContent = 'Point at the chart, or focus it and use the arrow keys, to read its values.';
  }
  function nearest(rows, t) {
    var best = -1;
    rows.forEach(function (row, at) {
      if (best < 0 || Math.abs(row.t - t) < Math.abs(rows[best].t - t)) best = at;
    });
    return best;
  }
  function show(run, t) {
    figures.forEach(function (own) {
      if (own.run !== run) return;
      var at = t === null ? -1 : nearest(own.rows, t);
      own.lines.forEach(function (line) { line(at < 0 ? null : own.rows[at].t); });
      if (at < 0) return hint(own);
      own.at = at;
      own.read.textContent = '';
      own.rows[at].cells.forEach(function (cell, column) {
        var value = document.createElement('b');
        value.textContent = cell;
        own.read.append(column ? ' · ' : '', own.heads[column] + ' ', value);
      });
    });
  }
})();

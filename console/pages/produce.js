import { post } from '../core/api.js';
import { actionDialog } from '../core/dialog.js';
import { counted } from '../core/format.js';

// One record by hand, new or after the model of another one.
export function produce(view, topic, model = null) {
  const headers = (model?.headers ?? []).map((header) => `${header.name}=${header.value ?? ''}`).join('\n');
  return actionDialog({
    title: model ? `Produce again to ${topic.name}` : `Produce to ${topic.name}`, verb: 'Produce',
    fields: [
      { name: 'key', label: 'Key', value: model?.key ?? '', placeholder: 'none', hint: 'Records of one key keep their order' },
      { name: 'value', label: 'Value', kind: 'area', rows: 6, value: model?.value ?? '' },
      { name: 'tombstone', label: 'No value at all', kind: 'check', value: model !== null && model.value === null && model.value_base64 === undefined, hint: ' In a compacted topic that removes the key.' },
      { name: 'headers', label: 'Headers', kind: 'area', rows: 2, value: headers, placeholder: 'name=value', hint: 'one NAME=VALUE a line' },
      { name: 'partition', label: 'Partition', kind: 'number', min: 0, max: topic.partitions - 1, placeholder: 'as the key decides' },
      { name: 'delay', label: 'Delay', placeholder: 'none', hint: 'a duration, such as 5m: readers see it only then' },
    ],
    act: async (values) => {
      const record = {
        key: values.key === '' ? null : values.key, value: values.tombstone ? null : values.value, headers: headersOf(values.headers),
        ...(values.partition === undefined ? {} : { partition: values.partition }), ...(values.delay ? { delay: values.delay } : {}),
      };
      const done = await post(`/topics/${encodeURIComponent(topic.name)}/records`, { records: [record] });
      if (done.failed > 0) throw new Error(done.errors[0]?.message ?? 'the record was refused');
      view.refresh();
      if (values.delay) return `The record will be delivered in ${values.delay}.`;
      const place = done.partitions[0];
      return place ? `${topic.name}:${place.partition}:${place.first} – ${counted(done.bytes, 'byte')}, durability ${done.durability}.` : 'Done.';
    },
  });
}

function headersOf(text) {
  return text.split('\n').filter((line) => line.trim() !== '').map((line) => {
    const at = line.indexOf('=');
    if (at < 1) throw new Error(`header “${line}” is not NAME=VALUE`);
    return { name: line.slice(0, at), value: line.slice(at + 1) };
  });
}
